"""The signal that ends a turn early, with the reason it carries."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from sessions.agent.limits import TurnEnd

T = TypeVar("T")


class StopSignal:
    """Set once, by whoever is first: a person, or the session's clock."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._end: TurnEnd | None = None

    def set(self, end: TurnEnd) -> None:
        if self._end is None:
            self._end = end
            self._event.set()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait_for(self, timeout_s: float) -> bool:
        """True when it was set within that time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        return True

    async def wait(self) -> None:
        await self._event.wait()

    async def cutting(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result; it is cancelled when the signal is set before. Raises: what it raises; the
        TurnEnd of the signal."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                working.cancel()
                with suppress(asyncio.CancelledError):
                    await working
                self.check()
            return await working
        finally:
            working.cancel()
            stopping.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    def check(self) -> None:
        """Raises: the TurnEnd it was set with."""
        if self._end is not None:
            raise self._end
