"""Commands that programs run in a container and wait for."""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from channels.db import database_sync_to_async
from django.db import transaction

from sessions import services
from sessions.agent.limits import TurnEnd, TurnStopped
from sessions.agent.stop import StopSignal
from sessions.agent.tools.execution import Command, run_command
from sessions.errors import BerthError, ConflictError, ContainerLostError
from sessions.events.types import CallEnded
from sessions.models import OpenExec, Session
from sessions.runtime.calls import Hear, HeardRecorder, call_context
from sessions.runtime.conversation import calls_named
from sessions.runtime.leases import is_holder_dead
from sessions.runtime.recorder import SessionRecorder
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.setups import Setups

logger = logging.getLogger(__name__)

MAX_OPEN_EXECS = 32
"""Of one session."""
TOOL = "exec"
CLOSE_S = 3.0


@dataclass(frozen=True, slots=True)
class ExecSpec:
    """`argv` runs as it is; without it `text` runs in the container's best shell."""

    text: str
    timeout_s: float
    argv: tuple[str, ...] = ()
    cwd: str = "/workspace"
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes | None = None


@dataclass(slots=True)
class RunningExec:
    """`ended` gives how it ended, or raises why it never began."""

    call_id: str
    ended: asyncio.Task[CallEnded]
    _stop: StopSignal

    def stop(self) -> None:
        """Kill it with all it started; it ends soon after."""
        self._stop.set(TurnStopped())


class Execs:
    """Built once per process."""

    def __init__(self, sandboxes: Sandboxes, setups: Setups) -> None:
        self._sandboxes = sandboxes
        self._setups = setups
        self._running: dict[str, RunningExec] = {}

    async def start(self, session: Session, spec: ExecSpec, hear: Hear) -> RunningExec:
        """It goes on in a task of its own, in the session's container, which is made and set up
        first. `hear` gets what is logged of its output, and slows it by being slow.

        Raises: ConflictError when `MAX_OPEN_EXECS` run already, NotFoundError.
        """
        making = asyncio.create_task(self._begin(session, spec, hear))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            # Its row may be there already, and only its end removes that.
            (await making).stop()
            raise

    async def _begin(self, session: Session, spec: ExecSpec, hear: Hear) -> RunningExec:
        call_id = f"exec-{uuid.uuid4().hex}"
        await _open(session, call_id, self._sandboxes.lease)
        stop = StopSignal()
        task = asyncio.create_task(self._run(session, call_id, spec, hear, stop))
        running = RunningExec(call_id, task, stop)
        self._running[call_id] = running
        task.add_done_callback(lambda _: self._over(call_id))
        return running

    def _over(self, call_id: str) -> None:
        task = self._running.pop(call_id).ended
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, BerthError | TurnEnd):
            logger.error("%s failed", call_id, exc_info=error)

    async def _run(
        self,
        session: Session,
        call_id: str,
        spec: ExecSpec,
        hear: Hear,
        stop: StopSignal,
    ) -> CallEnded:
        try:
            await self._sandboxes.connect(session)
            stop.check()
            await services.session_touch(session=session)
            await self._setups.ensure(session, stop)
            container_id = self._sandboxes.container_id(session)
            recorder = SessionRecorder(session, None)
            heard = HeardRecorder(recorder, hear)
            try:
                command = Command(
                    call_id=call_id,
                    tool_call_id=call_id,
                    index=0,
                    tool=TOOL,
                    text=spec.text,
                    timeout_s=spec.timeout_s,
                    argv=spec.argv,
                    cwd=spec.cwd,
                    env=spec.env,
                    stdin=spec.stdin,
                )
                await run_command(
                    command,
                    call_context(session, self._sandboxes, heard, stop, container_id=container_id),
                )
            finally:
                await recorder.aclose()
            assert heard.ended is not None
            await services.session_touch(session=session)
        except asyncio.CancelledError:
            raise  # the next process ends it
        except BaseException:
            await OpenExec.objects.filter(call_id=call_id).adelete()
            raise
        await OpenExec.objects.filter(call_id=call_id).adelete()
        return heard.ended

    async def resume(self) -> None:
        """End what programs ran that were connected to a process that died."""
        others = OpenExec.objects.exclude(holder=self._sandboxes.lease)
        async for row in others.select_related("session"):
            if await is_holder_dead(row.holder, since=row.created_at):
                try:
                    await self._end(row)
                except BerthError as error:
                    logger.warning("%s is ended later: %s", row.call_id, error)

    async def _end(self, row: OpenExec) -> None:
        """Raises: BerthError, when it is tried again later."""
        calls = await calls_named(row.session_id, [row.call_id])
        recorded = calls.get(row.call_id)
        if recorded is not None and recorded.ended is None:
            stop = StopSignal()
            stop.set(TurnStopped())
            recorder = SessionRecorder(row.session, None)
            context = call_context(
                row.session,
                self._sandboxes,
                recorder,
                stop,
                container_id=recorded.container_id,
                recorded=calls,
            )
            command = Command(
                row.call_id, row.call_id, index=0, tool=TOOL, text="true", timeout_s=1.0
            )
            try:
                await run_command(command, context)
            except ContainerLostError:
                logger.info("%s went with its container", row.call_id)
            finally:
                await recorder.aclose()
        await row.adelete()

    async def aclose(self) -> None:
        """Those who waited are gone: what still runs is ended, or left to the next process."""
        tasks = [running.ended for running in self._running.values()]
        for running in list(self._running.values()):
            running.stop()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@database_sync_to_async
def _open(session: Session, call_id: str, holder: str) -> None:
    with transaction.atomic():
        Session.objects.select_for_update().get(id=session.id)
        if OpenExec.objects.filter(session=session).count() >= MAX_OPEN_EXECS:
            raise ConflictError(f"{MAX_OPEN_EXECS} commands of programs run here already.")
        OpenExec.objects.create(call_id=call_id, session=session, holder=holder)
