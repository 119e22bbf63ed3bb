"""The signal that ends a turn early, with the reason it carries."""

import asyncio

from sessions.agent.limits import TurnEnd


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

    def check(self) -> None:
        """Raises: the TurnEnd it was set with."""
        if self._end is not None:
            raise self._end
