"""1 GB printed by one session: the server's memory, the rate, and what a neighbour feels."""

import asyncio
import contextlib
import multiprocessing
import queue
import subprocess
import time
import uuid
from collections.abc import AsyncIterator
from multiprocessing.queues import Queue
from typing import TypeAlias

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, percentile
from tests.bench.rows.output_to_socket import ages_ms, printing
from tests.bench.sandboxes import IMAGE
from tests.serve.berth_client import (
    BerthClient,
    OutputPiece,
    session_socket,
    turn_has_ended,
    watch,
)

Ages: TypeAlias = list[tuple[float, float]]
"""When a line was seen (Unix time), and how old it was then, in ms."""
MEMORY_TARGET_MB = 64.0
NEIGHBOUR_TARGET = 2.0


def flooding(size: int) -> str:
    return f"head -c {size} /dev/zero | tr '\\0' x"


def attached_rate(size: int) -> float:
    """MB/s of the same flood through an attached container."""
    run = ["docker", "run", "--rm", "--network", "none", "--log-driver", "none", IMAGE]
    start = time.perf_counter()
    process = subprocess.Popen([*run, "bash", "-c", flooding(size)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    seen = 0
    while piece := process.stdout.read(1024 * 1024):
        seen += len(piece)
    process.wait()
    assert seen == size
    return size / 1e6 / (time.perf_counter() - start)


def watch_ages(url: str, cookies: str, session: uuid.UUID, found: "Queue[Ages]") -> None:
    """A viewer in a process of its own, as every browser is one: in that of the flood's viewer,
    lines would be late for want of a client."""

    def on_output(piece: OutputPiece) -> None:
        now = time.time()
        found.put([(now, age) for age in ages_ms(piece.data, now)])

    async def view() -> None:
        async with session_socket(url, cookies, session) as socket:
            await watch(socket, turn_has_ended(1), on_output=on_output, timeout_s=300)

    asyncio.run(view())


class Neighbour:
    """A session that prints a line now and then, and how late its viewer sees each."""

    def __init__(self, client: BerthClient, session: uuid.UUID) -> None:
        context = multiprocessing.get_context("spawn")
        self._found: Queue[Ages] = context.Queue()
        arguments = (client.url, client.cookies, session, self._found)
        self._process = context.Process(target=watch_ages, args=arguments, daemon=True)
        self._process.start()
        self._ages: Ages = []

    async def ready(self) -> None:
        """Raises: queue.Empty when it sees nothing."""
        self._ages += await asyncio.to_thread(self._found.get, timeout=60)

    def p99_between(self, start: float, end: float) -> float:
        with contextlib.suppress(queue.Empty):
            while True:
                self._ages += self._found.get(timeout=0.1)
                if self._ages[-1][0] > end:
                    break
        return percentile([age for at, age in self._ages if start <= at <= end], 0.99)

    def close(self) -> None:
        self._process.kill()
        self._process.join()


@contextlib.asynccontextmanager
async def neighbour(client: BerthClient) -> AsyncIterator[Neighbour]:
    task = f"```bash\n{printing(100_000)}\n```"
    session = await asyncio.to_thread(client.create_session, task)
    viewer = Neighbour(client, session)
    try:
        await viewer.ready()
        yield viewer
    finally:
        viewer.close()
        await asyncio.to_thread(client.delete, session)


async def peak_memory(bench: Bench, until: asyncio.Task[float]) -> float:
    server = await bench.server()
    peak = 0.0
    while not until.done():
        peak = max(peak, server.memory_mb())
        await asyncio.sleep(0.02)
    return peak


async def ready_session(client: BerthClient) -> uuid.UUID:
    """With its container running: that it was started is not the flood's doing."""
    session = await asyncio.to_thread(client.create_session, "```bash\ntrue\n```")
    async with client.socket(session) as socket:
        await watch(socket, turn_has_ended(1))
    return session


async def flooded(client: BerthClient, session: uuid.UUID, size: int) -> float:
    """MB/s from the turn's submission to its end, seen by a viewer."""
    async with client.socket(session) as socket:
        start = time.perf_counter()
        await asyncio.to_thread(client.submit, session, f"```bash\n{flooding(size)}\n```")
        await watch(socket, turn_has_ended(2), timeout_s=120)
        return size / 1e6 / (time.perf_counter() - start)


async def measure(bench: Bench) -> Measurement:
    size = bench.count(1_000_000_000, quick=200_000_000)
    client = await bench.client()
    async with neighbour(client) as beside:
        session = await ready_session(client)
        await asyncio.sleep(1)
        quiet_from = time.time()
        await asyncio.sleep(4)
        quiet = await asyncio.to_thread(beside.p99_between, quiet_from, time.time())
        before = (await bench.server()).memory_mb()
        flood_from = time.time()
        flooding_task = asyncio.create_task(flooded(client, session, size))
        peak = await peak_memory(bench, flooding_task)
        rate = await flooding_task
        busy = await asyncio.to_thread(beside.p99_between, flood_from, time.time())
        await asyncio.to_thread(client.delete, session)
    floor = await asyncio.to_thread(attached_rate, size)
    more = peak - before
    return Measurement(
        unit="MB/s",
        ours=[rate],
        floor="docker run, attached",
        floor_samples=[floor],
        target="server memory ≤ +64 MB; a neighbour's p99 ≤ twice",
        is_met=more <= MEMORY_TARGET_MB and busy <= NEIGHBOUR_TARGET * quiet,
        note=(
            f"{size / 1e6:.0f} MB: server memory {more:+.0f} MB; a neighbour's line p99 "
            f"{quiet:.1f} ms quiet, {busy:.1f} ms during the flood"
        ),
    )
