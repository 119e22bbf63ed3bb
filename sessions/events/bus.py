"""Wake-ups through the channel layer. They carry no data: whoever is woken reads the log.

A layer may drop messages, so every waiter also looks by itself now and then; a lost wake-up
costs that delay and nothing else. Wake-ups of one topic are coalesced: the first goes out at
once, those within the next `COALESCE_S` become a single one at its end.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channels.layers import get_channel_layer

COALESCE_S = 0.02
RENEW_S = 6 * 3600.0
"""Layers forget a member of a group after a day (`group_expiry`)."""
_closing: dict[tuple[int, str], bool] = {}


def session_topic(session_id: uuid.UUID) -> str:
    return f"session.{session_id}"


def owner_topic(user_id: int) -> str:
    """Something changed in the list of this user's sessions."""
    return f"owner.{user_id}"


STAFF_TOPIC = "owner.all"
SUPERVISOR_TOPIC = "supervisor"


async def notify(topic: str) -> None:
    """Wake everyone who listens to `topic`."""
    key = (id(asyncio.get_running_loop()), topic)
    if key in _closing:
        _closing[key] = True
        return
    _closing[key] = False
    asyncio.get_running_loop().call_later(COALESCE_S, _window_ended, key)
    await _send(topic)


async def _send(topic: str) -> None:
    layer = get_channel_layer()
    assert layer is not None
    await layer.group_send(topic, {"type": "wake", "topic": topic})


_senders: set[asyncio.Task[None]] = set()


def _window_ended(key: tuple[int, str]) -> None:
    if _closing.pop(key, False):
        task = asyncio.get_running_loop().create_task(notify(key[1]))
        _senders.add(task)
        task.add_done_callback(_senders.discard)


class Waiter:
    """One listener. `wait` returns after the next wake-up or after `timeout_s`, whichever is
    first; wake-ups that came since the last call make it return at once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.woken_at = time.monotonic()
        """When the last wake-up came, or the listening began."""

    def wake(self) -> None:
        self.woken_at = time.monotonic()
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        """True when woken, False when the time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


@asynccontextmanager
async def listen(*topics: str) -> AsyncIterator[Waiter]:
    """Subscribe to `topics` for the life of the context."""
    layer = get_channel_layer()
    assert layer is not None
    channel = await layer.new_channel()
    waiter = Waiter()
    for topic in topics:
        await layer.group_add(topic, channel)

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            for topic in topics:
                await layer.group_add(topic, channel)

    async def pump() -> None:
        while True:
            await layer.receive(channel)
            waiter.wake()

    tasks = [asyncio.create_task(pump()), asyncio.create_task(renew())]
    try:
        yield waiter
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for topic in topics:
            await layer.group_discard(topic, channel)
