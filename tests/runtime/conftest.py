import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sessions.events import log
from sessions.events.types import EventBody
from sessions.models import Session
from sessions.runtime.process import Runtime
from sessions.runtime.supervisor import Supervisor


class Log:
    """Reads a session's log and waits for what should come."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def bodies(self) -> list[EventBody]:
        found: list[EventBody] = []
        after = 0
        while batch := await log.read(self._session.id, after=after):
            after = batch[-1].seq
            found += [event.body for event in batch]
        return found

    async def of(self, kind: type[Any]) -> list[Any]:
        return [body for body in await self.bodies() if isinstance(body, kind)]

    async def wait_for(self, is_wanted: Callable[[EventBody], bool], timeout_s: float = 20) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for body in await self.bodies():
                        if is_wanted(body):
                            return body
                    await asyncio.sleep(0.02)
        except TimeoutError:
            shown = "\n".join(str(body) for body in await self.bodies())
            raise AssertionError(f"It never came. The log:\n{shown}") from None


@pytest.fixture
async def supervisor(sandbox_runtime: Runtime) -> AsyncIterator[Supervisor]:
    """Running for the length of the test."""
    supervisor = Supervisor(sandbox_runtime, max_running_turns=4)
    task = asyncio.create_task(supervisor.run())
    yield supervisor
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
