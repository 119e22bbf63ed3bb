"""Wake-ups. They carry no data: whoever is woken reads the log.

Listeners of this process are woken directly, those of others through the channel layer, where there
is one that reaches them. A layer may drop messages, so every waiter also looks by itself now and
then; a lost wake-up costs that delay and nothing else. Wake-ups of one topic are coalesced: the
first goes out at once, those within the next `COALESCE_S` become a single one at its end.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from channels.layers import BaseChannelLayer, InMemoryChannelLayer, get_channel_layer

COALESCE_S = 0.02
RENEW_S = 6 * 3600.0
"""Layers forget a member of a group after a day (`group_expiry`)."""
_PROCESS = uuid.uuid4().hex
"""Says of a message in the layer that its listeners here were woken already."""
_closing: dict[tuple[int, str], bool] = {}
_waiters: dict[tuple[int, str], set["Waiter"]] = {}
"""Those of one event loop by topic."""


def session_topic(session_id: uuid.UUID) -> str:
    return f"session.{session_id}"


def owner_topic(user_id: int) -> str:
    """Something changed in the list of this user's sessions."""
    return f"owner.{user_id}"


STAFF_TOPIC = "owner.all"
SUPERVISOR_TOPIC = "supervisor"


async def notify(topic: str) -> None:
    """Wake everyone who listens to `topic`."""
    key = _key(topic)
    if key in _closing:
        _closing[key] = True
        return
    _closing[key] = False
    asyncio.get_running_loop().call_later(COALESCE_S, _window_ended, key)
    await _send(topic)


def _key(topic: str) -> tuple[int, str]:
    return id(asyncio.get_running_loop()), topic


async def _send(topic: str) -> None:
    for waiter in tuple(_waiters.get(_key(topic), ())):
        waiter.wake()
    if (layer := _shared_layer()) is not None:
        await layer.group_send(topic, {"type": "wake", "from": _PROCESS})


def _shared_layer() -> BaseChannelLayer | None:
    """None where the layer reaches this process alone: passing a wake-up through it took 170 us a
    listener."""
    layer = get_channel_layer()
    return None if type(layer) is InMemoryChannelLayer else layer


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
    waiter = Waiter()
    keys = [_key(topic) for topic in topics]
    for key in keys:
        _waiters.setdefault(key, set()).add(waiter)
    try:
        async with _listen_to_others(waiter, topics):
            yield waiter
    finally:
        for key in keys:
            _waiters[key].discard(waiter)
            if not _waiters[key]:
                del _waiters[key]


@asynccontextmanager
async def _listen_to_others(waiter: Waiter, topics: Sequence[str]) -> AsyncIterator[None]:
    layer = _shared_layer()
    if layer is None:
        yield
        return
    channel = await layer.new_channel()
    await _join(layer, topics, channel)
    tasks = [
        asyncio.create_task(_pump(layer, channel, waiter)),
        asyncio.create_task(_stay(layer, topics, channel)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for topic in topics:
            await layer.group_discard(topic, channel)


async def _join(layer: BaseChannelLayer, topics: Sequence[str], channel: str) -> None:
    for topic in topics:
        await layer.group_add(topic, channel)


async def _stay(layer: BaseChannelLayer, topics: Sequence[str], channel: str) -> None:
    while True:
        await asyncio.sleep(RENEW_S)
        await _join(layer, topics, channel)


async def _pump(layer: BaseChannelLayer, channel: str, waiter: Waiter) -> None:
    while True:
        message = await layer.receive(channel)
        if message.get("from") != _PROCESS:
            waiter.wake()
