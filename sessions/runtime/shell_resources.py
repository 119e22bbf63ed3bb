"""What a container uses while people have shells open in it; during a turn the turn's own watch
says it (resources.py)."""

import asyncio
import logging
import uuid

from typing_extensions import override

from sessions.agent.tools.base import Recorder
from sessions.events import bus, log
from sessions.events.types import EventBody
from sessions.models import Session, Turn, TurnStatus
from sessions.runtime.resources import ResourceWatch
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.limits import Limits

logger = logging.getLogger(__name__)


class _BetweenTurns(Recorder):
    """Into the log at once, but nothing while a turn runs."""

    def __init__(self, session_id: uuid.UUID) -> None:
        self._session_id = session_id

    @override
    async def record(self, *bodies: EventBody) -> None:
        running = Turn.objects.filter(session=self._session_id, status=TurnStatus.RUNNING)
        if not await running.aexists():
            await log.append(self._session_id, bodies)
            await bus.notify(bus.session_topic(self._session_id))

    @override
    async def flush(self) -> None:
        return


class ShellResources:
    """One watch for each session with open shells. Owned by `Shells`."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes
        self._tasks: dict[uuid.UUID, asyncio.Task[None]] = {}

    def begin(self, session: Session) -> None:
        """Nothing happens when it is watched already."""
        task = self._tasks.get(session.id)
        if task is None or task.done():
            self._tasks[session.id] = asyncio.create_task(self._watch(session))

    def end(self, session_id: uuid.UUID) -> None:
        task = self._tasks.pop(session_id, None)
        if task is not None:
            task.cancel()

    async def _watch(self, session: Session) -> None:
        watch = ResourceWatch(
            session=session,
            limits=Limits.from_json(session.limits),
            sandboxes=self._sandboxes,
            recorder=_BetweenTurns(session.id),
        )
        try:
            await watch.run()
        except Exception:  # top of a task: the next shell that is opened begins it anew
            logger.exception("session %s: its resources are no longer watched", session.id)

    async def aclose(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
