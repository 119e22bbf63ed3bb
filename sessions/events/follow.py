"""The one reader behind websocket, SSE and replay: subscribe, replay, follow."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sessions.events import bus, heads, log, recent
from sessions.events.types import StoredEvent

POLL_S = 1.0
"""How long a lost wake-up can delay an event."""


async def follow(
    session_id: uuid.UUID, *, after: int = 0, poll_s: float = POLL_S
) -> AsyncIterator[list[StoredEvent]]:
    """Batches of the events behind number `after`, without gap or double, for ever.

    An empty batch is yielded each time the end of the log is reached, so that a reader knows it
    has caught up, and every `poll_s` while nothing comes. The reader sets the pace: nothing is read ahead while it works on a batch.
    """
    async with bus.listen(bus.session_topic(session_id)) as waiter:
        # Of what other processes stored before, nobody tells any more.
        has_caught_up = False
        while True:
            began_at = time.monotonic()
            known = recent.behind(session_id, after) if has_caught_up else None
            if known is not None:
                batch = known.events
                is_at_end = waiter.woken_by_others_at <= known.stored_at
            else:
                read = await _read_shared(session_id, after, not_before=waiter.woken_at)
                began_at = read.began_at
                batch, is_at_end = read.task.result()
            if batch:
                yield batch
                after = batch[-1].seq
            # Whatever is stored after the read began wakes us again.
            if is_at_end and began_at >= waiter.woken_at:
                has_caught_up = True
                yield []
                while not await waiter.wait(poll_s) and await heads.last_seq(session_id) == after:
                    yield []


@dataclass(frozen=True, slots=True)
class _Read:
    """A read that is under way or done."""

    began_at: float
    task: asyncio.Task[tuple[list[StoredEvent], bool]]


_reads: dict[tuple[int, uuid.UUID, int], _Read] = {}


async def _read_shared(session_id: uuid.UUID, after: int, *, not_before: float) -> _Read:
    """Read once for all who ask for the same events at the same time, as the viewers of a session
    do after each wake-up. A read that began before `not_before` may have missed the newest."""
    key = (id(asyncio.get_running_loop()), session_id, after)
    read = _reads.get(key)
    if read is None or read.began_at < not_before:
        began_at = time.monotonic()
        read = _Read(began_at, asyncio.create_task(log.read_on(session_id, after=after)))
        _reads[key] = read
        read.task.add_done_callback(lambda _: _forget(key, read))
    # One reader that leaves must not cancel the read of the others.
    await asyncio.shield(read.task)
    return read


def _forget(key: tuple[int, uuid.UUID, int], read: _Read) -> None:
    if _reads.get(key) is read:
        del _reads[key]
