"""A page that comes back with 10,000 events missed, beside SQLite reading the same rows."""

import asyncio
import contextlib
import sqlite3
import time
import uuid

from sessions.events import log
from sessions.events.types import Output
from tests.bench.bench import Bench
from tests.bench.figures import Measurement, percentile
from tests.serve.berth_client import Seen, turn_has_ended, watch

EVENTS = 10_000
TARGET_MS = 300.0


def raw_read(path: str, session: uuid.UUID) -> float:
    start = time.perf_counter()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT seq, type, payload, data FROM agent_sessions_event "
            "WHERE session_id = ? ORDER BY seq",
            [session.hex],
        ).fetchall()
    assert len(rows) > EVENTS
    return (time.perf_counter() - start) * 1000


async def append_events(session: uuid.UUID) -> None:
    line = b"\x1b[32mPASSED\x1b[0m tests/test_something.py::test_that_it_works [ 42%]\r\n"
    for start in range(0, EVENTS, 500):
        pieces = [
            Output(call_id="bench", stream="stdout", offset=(start + i) * len(line), content=line)
            for i in range(500)
        ]
        await log.append(session, pieces)


async def returned(bench: Bench, session: uuid.UUID, after: int) -> float:
    client = await bench.client()
    start = time.perf_counter()
    async with client.socket(session) as socket:
        seen = await watch(socket, lambda seen: seen.is_caught_up, after=after)
        took = (time.perf_counter() - start) * 1000
    check(seen, after)
    return took


def check(seen: Seen, after: int) -> None:
    assert seen.seqs == list(range(after + 1, after + EVENTS + 1)), "a gap or a double"


async def measure(bench: Bench) -> Measurement:
    client = await bench.client()
    session = await asyncio.to_thread(client.create_session, "```bash\ntrue\n```")
    async with client.socket(session) as socket:
        seen = await watch(
            socket, lambda seen: turn_has_ended(1)(seen) and is_idle(seen) and seen.is_caught_up
        )
    await append_events(session)
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(bench.count(15, quick=5)):
        ours.append(await returned(bench, session, seen.seqs[-1]))
        floor.append(raw_read(str(bench.var_dir / "db.sqlite3"), session))
    await asyncio.to_thread(client.delete, session)
    return Measurement(
        unit="ms",
        ours=ours,
        floor="SQLite reading the same rows",
        floor_samples=floor,
        target=f"≤ {TARGET_MS:g} ms, no gap, no double",
        is_met=percentile(ours, 0.5) <= TARGET_MS,
        note="connection, sign-in check and 10,000 output events of 70 bytes, each number checked",
    )


def is_idle(seen: Seen) -> bool:
    last = [event for event in seen.events if event["type"] == "session.status"][-1:]
    return bool(last) and last[0]["status"] == "idle"
