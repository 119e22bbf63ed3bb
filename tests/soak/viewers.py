"""`python -m tests.soak.viewers`: many websocket clients of one server, in a process of their own.

Reads an `Assignment` as JSON from standard input. Follows until every session's turn has ended, or
its time is up; then writes a `Seen` as JSON to standard output.
"""

import array
import asyncio
import contextlib
import dataclasses
import json
import math
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.serve.berth_client import MAX_FRAME_BYTES, split_output
from tests.soak.files import raise_file_limit

LINE = re.compile(rb"^(\d+) (\d+\.\d+)$", re.MULTILINE)
OPENED_AT_A_TIME = 20
OPEN_TIMEOUT_S = 60.0
AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Assignment:
    url: str
    cookies: str
    origin: str
    session_ids: list[str]
    viewers_per_session: int
    timeout_s: float


@dataclass(slots=True)
class Seen:
    viewers: int = 0
    events: int = 0
    """Delivered, over all viewers."""
    lost: int = 0
    doubled: int = 0
    lines: int = 0
    reconnects: int = 0
    last_seqs: dict[str, list[int]] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    """Sorted; from the clock of the command that printed to that of the viewer that received."""


class Crowd:
    """All viewers of this process; their counts are summed as they come."""

    def __init__(self, assignment: Assignment) -> None:
        self.seen = Seen()
        self.latencies = array.array("f")
        self._assignment = assignment
        self._opening = asyncio.Semaphore(OPENED_AT_A_TIME)

    async def watch(self, session_id: str) -> None:
        """One viewer, to the end of the session's turn; comes back where it was when cut."""
        last_seq, is_over, attempts = 0, False, 0
        self.seen.viewers += 1
        try:
            while not is_over:
                self.seen.reconnects += attempts > 0
                attempts += 1
                with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                    async for seqs, is_over in self._frames(session_id, last_seq):  # noqa: B007
                        last_seq = self._count(seqs, last_seq)
                if not is_over:
                    await asyncio.sleep(AGAIN_S)
        finally:
            self.seen.last_seqs.setdefault(session_id, []).append(last_seq)

    def _count(self, seqs: list[int], last_seq: int) -> int:
        for seq in seqs:
            self.seen.events += 1
            self.seen.lost += max(0, seq - last_seq - 1)
            self.seen.doubled += seq <= last_seq
            last_seq = max(last_seq, seq)
        return last_seq

    async def _frames(self, session_id: str, after: int) -> Any:
        """Yields the numbers of each frame, and whether the turn has ended with it."""
        async with self._opening, asyncio.timeout(OPEN_TIMEOUT_S):
            socket = await connect(
                f"{self._assignment.url}/ws/sessions/{session_id}/",
                additional_headers={"Cookie": self._assignment.cookies},
                origin=self._assignment.origin,  # type: ignore[arg-type]  # a NewType of str
                max_size=MAX_FRAME_BYTES,
                open_timeout=OPEN_TIMEOUT_S,
                compression=None,
                proxy=None,
            )
        async with socket:
            await socket.send(json.dumps({"type": "follow", "after": after}))
            is_caught_up = False
            async for frame in socket:
                now = time.time()
                if isinstance(frame, bytes):
                    pieces = list(split_output(frame))
                    seqs = [piece.seq for piece in pieces]
                    if is_caught_up:
                        self._time(b"".join(piece.data for piece in pieces), now)
                    is_over = False
                else:
                    message = json.loads(frame)
                    is_caught_up = is_caught_up or message["type"] == "caught_up"
                    events = message.get("events", [])
                    seqs = [event["seq"] for event in events]
                    is_over = any(event["type"] == "turn.ended" for event in events)
                if seqs:
                    await socket.send(json.dumps({"type": "ack", "seq": seqs[-1]}))
                    yield seqs, is_over
                if is_over:
                    return

    def _time(self, data: bytes, now: float) -> None:
        for line in LINE.finditer(data):
            self.seen.lines += 1
            self.latencies.append((now - float(line[2])) * 1000)


async def follow_all(assignment: Assignment) -> Seen:
    crowd = Crowd(assignment)
    viewers = [
        asyncio.create_task(crowd.watch(session_id))
        for session_id in assignment.session_ids
        for _ in range(assignment.viewers_per_session)
    ]
    with contextlib.suppress(TimeoutError):  # what is missing then shows in the numbers
        async with asyncio.timeout(assignment.timeout_s):
            await asyncio.gather(*viewers)
    crowd.seen.latencies_ms = sorted(crowd.latencies)
    return crowd.seen


def percentile(ordered: list[float], share: float) -> float:
    """By the nearest rank; NaN of nothing."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan


def main() -> None:
    raise_file_limit()
    assignment = Assignment(**json.loads(sys.stdin.readline()))
    seen = asyncio.run(follow_all(assignment))
    sys.stdout.write(json.dumps(dataclasses.asdict(seen)) + "\n")


if __name__ == "__main__":
    main()
