"""Wake-ups. They carry no data: whoever is woken reads the log.

Listeners of this process are woken directly, those of others through the channel layer, where there
is one that reaches them. A layer may drop messages, so every waiter also looks by itself now and
then; a lost wake-up costs that delay and nothing else. Wake-ups of one topic are coalesced: the
first goes out at once, those within the next `COALESCE_S` become a single one at its end.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from channels.layers import BaseChannelLayer, InMemoryChannelLayer, get_channel_layer

logger = logging.getLogger(__name__)

COALESCE_S = 0.02
RETRY_S = 1.0
RENEW_S = 6 * 3600.0
"""Layers forget a member of a group after a day (`group_expiry`)."""
_PROCESS = uuid.uuid4().hex
"""Says of a message in the layer that its listeners here were woken already."""


@dataclass(slots=True)
class _Topics:
    """What one event loop knows of each topic."""

    closing: dict[str, bool] = field(default_factory=dict)
    """Those told of a moment ago: whether they are to be told of once more."""
    waiters: dict[str, set["Waiter"]] = field(default_factory=dict)


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Topics] = WeakKeyDictionary()


def _topics() -> _Topics:
    return _of_loop.setdefault(asyncio.get_running_loop(), _Topics())


def session_topic(session_id: uuid.UUID) -> str:
    return f"session.{session_id}"


def owner_topic(user_id: int) -> str:
    """Something changed in the list of this user's sessions."""
    return f"owner.{user_id}"


STAFF_TOPIC = "owner.all"
SUPERVISOR_TOPIC = "supervisor"


async def notify(topic: str) -> None:
    """Wake everyone who listens to `topic`."""
    closing = _topics().closing
    if topic in closing:
        closing[topic] = True
        return
    closing[topic] = False
    asyncio.get_running_loop().call_later(COALESCE_S, _window_ended, topic)
    await _send(topic)


async def notify_changed(session_id: uuid.UUID, owner_id: int, *, supervisor: bool = True) -> None:
    """Of a session: those who look at it, at its owner's list or at all, and who works in it."""
    await notify(session_topic(session_id))
    await notify(owner_topic(owner_id))
    await notify(STAFF_TOPIC)
    if supervisor:
        await notify(SUPERVISOR_TOPIC)


async def _send(topic: str) -> None:
    for waiter in tuple(_topics().waiters.get(topic, ())):
        waiter.wake()
    if (layer := _shared_layer()) is not None:
        try:
            await layer.group_send(topic, {"type": "wake", "from": _PROCESS})
        except Exception as error:  # noqa: BLE001  (of whatever stands behind the layer)
            # What was stored is stored: other processes see it with their next look.
            logger.warning("a wake-up did not reach other processes: %r", error)


def _shared_layer() -> BaseChannelLayer | None:
    """None where the layer reaches this process alone: passing a wake-up through it took 170 us a
    listener."""
    layer = get_channel_layer()
    return None if type(layer) is InMemoryChannelLayer else layer


_senders: set[asyncio.Task[None]] = set()


def _window_ended(topic: str) -> None:
    if _topics().closing.pop(topic, False):
        task = asyncio.get_running_loop().create_task(notify(topic))
        _senders.add(task)
        task.add_done_callback(_senders.discard)


class Waiter:
    """One listener. `wait` returns after the next wake-up or after `timeout_s`, whichever is
    first; wake-ups that came since the last call make it return at once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.woken_at = time.monotonic()
        """When the last wake-up came, or the listening began."""
        self.woken_by_others_at = self.woken_at
        """The same of wake-ups from other processes."""

    def wake(self, *, by_others: bool = False) -> None:
        self.woken_at = time.monotonic()
        if by_others:
            self.woken_by_others_at = self.woken_at
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
    waiter, waiters = Waiter(), _topics().waiters
    for topic in topics:
        waiters.setdefault(topic, set()).add(waiter)
    try:
        async with _listen_to_others(waiter, topics):
            yield waiter
    finally:
        for topic in topics:
            waiters[topic].discard(waiter)
            if not waiters[topic]:
                del waiters[topic]


@asynccontextmanager
async def _listen_to_others(waiter: Waiter, topics: Sequence[str]) -> AsyncIterator[None]:
    layer = _shared_layer()
    if layer is None:
        yield
        return
    channel = await layer.new_channel()
    try:
        await _join(layer, topics, channel)
    except Exception as error:  # noqa: BLE001  (as in _send)
        logger.warning("the channel layer does not answer: %r", error)
    tasks = [
        asyncio.create_task(_pump(layer, topics, channel, waiter)),
        asyncio.create_task(_stay(layer, topics, channel)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            for topic in topics:
                await layer.group_discard(topic, channel)


async def _join(layer: BaseChannelLayer, topics: Sequence[str], channel: str) -> None:
    for topic in topics:
        await layer.group_add(topic, channel)


async def _stay(layer: BaseChannelLayer, topics: Sequence[str], channel: str) -> None:
    wait_s = RENEW_S
    while True:
        await asyncio.sleep(wait_s)
        try:
            await _join(layer, topics, channel)
        except Exception as error:  # noqa: BLE001  (as in _send)
            logger.warning("the channel layer does not answer: %r", error)
            wait_s = RETRY_S
        else:
            wait_s = RENEW_S


async def _pump(
    layer: BaseChannelLayer, topics: Sequence[str], channel: str, waiter: Waiter
) -> None:
    while True:
        try:
            message = await layer.receive(channel)
        except Exception as error:  # noqa: BLE001  (as in _send)
            logger.warning("the channel layer does not answer: %r", error)
            await asyncio.sleep(RETRY_S)
            with contextlib.suppress(Exception):
                await _join(layer, topics, channel)
            continue
        if message.get("from") != _PROCESS:
            waiter.wake(by_others=True)
