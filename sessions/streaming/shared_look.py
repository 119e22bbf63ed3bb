"""One look at the database on behalf of many sockets."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Look(Generic[Found]):
    began_at: float
    """Monotonic seconds: what was found is as of then, or newer."""
    task: asyncio.Task[Found]


class SharedLook(Generic[Key, Found]):
    """Calls `look` once for all who ask for the same key within `max_age_s` on one event loop.

    A thousand viewers who each read their session's row every two seconds took a core.
    """

    def __init__(self, look: Callable[[Key], Awaitable[Found]]) -> None:
        self._look = look
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Key, Look[Found]]] = (
            WeakKeyDictionary()
        )

    async def get(self, key: Key, *, max_age_s: float) -> tuple[float, Found]:
        """When the look began, in monotonic seconds, and what it found. Raises: what `look` does."""
        loop = asyncio.get_running_loop()
        looks = self._of_loop.setdefault(loop, {})
        look = looks.get(key)
        if look is None or look.began_at < time.monotonic() - max_age_s:
            look = Look(time.monotonic(), asyncio.ensure_future(self._call(key)))
            looks[key] = look
            loop.call_later(max_age_s, self._forget, looks, key, look)
        # One who leaves must not cancel the look of the others.
        return look.began_at, await asyncio.shield(look.task)

    async def _call(self, key: Key) -> Found:
        return await self._look(key)

    @staticmethod
    def _forget(looks: dict[Key, Look[Found]], key: Key, look: Look[Found]) -> None:
        if looks.get(key) is look:
            del looks[key]
