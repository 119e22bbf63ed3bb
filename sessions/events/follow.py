"""The one reader behind websocket, SSE and replay: subscribe, replay, follow."""

import uuid
from collections.abc import AsyncIterator

from sessions.events import bus, log
from sessions.events.types import StoredEvent

POLL_S = 1.0
"""How long a lost wake-up can delay an event."""


async def follow(
    session_id: uuid.UUID, *, after: int = 0, poll_s: float = POLL_S
) -> AsyncIterator[list[StoredEvent]]:
    """Batches of the events behind number `after`, without gap or double, for ever.

    An empty batch is yielded each time the end of the log is reached, so that a reader knows it
    has caught up. The reader sets the pace: nothing is read ahead while it works on a batch.
    """
    async with bus.listen(bus.session_topic(session_id)) as waiter:
        while True:
            batch = await log.read(session_id, after=after)
            yield batch
            if batch:
                after = batch[-1].seq
            else:
                await waiter.wait(poll_s)
