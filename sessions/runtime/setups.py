"""The commands that set a new container up, run once in it before anything else of its session.

Which container they ran in is noted in the session's row, with the process that runs them; where
each of them stands is in the log. So a restart goes on where it was, and none runs twice.
"""

import asyncio
import uuid
from dataclasses import dataclass, field

from sessions.agent.limits import TurnStopped
from sessions.agent.stop import StopSignal
from sessions.agent.tools.execution import Command, run_command
from sessions.errors import ContainerLostError, SetupFailedError
from sessions.models import ContainerState, Session
from sessions.providers.base import CommandResult
from sessions.runtime import container_rows as rows
from sessions.runtime.calls import call_context
from sessions.runtime.conversation import calls_named
from sessions.runtime.leases import is_holder_dead
from sessions.runtime.recorder import SessionRecorder
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.limits import Limits
from sessions.sandbox.setup import Setup

OTHERS_POLL_S = 0.2
TOOL = "setup"
STOPPED = "Setting it up was stopped. The next use begins anew."


@dataclass(slots=True)
class _Running:
    task: asyncio.Task[None]
    stop: StopSignal
    waiting: int = 0


@dataclass(slots=True)
class Setups:
    """Built once per process."""

    sandboxes: Sandboxes
    _running: dict[uuid.UUID, _Running] = field(default_factory=dict)

    async def ensure(self, session: Session, stop: StopSignal) -> None:
        """Returns once the session's container, which is there, is set up. `stop` kills what sets
        it up, when nobody else waits for that.

        Raises: SetupFailedError, the container is gone then; what `stop` was set with;
        SandboxError.
        """
        if not Setup.from_json(session.setup).commands:
            return
        running = self._running.get(session.id)
        if running is None or running.task.done():
            signal = StopSignal()
            running = _Running(asyncio.create_task(self._run(session, signal)), signal)
            self._running[session.id] = running
            running.task.add_done_callback(lambda task: self._over(session.id, task))
        await self._wait(running, stop)

    async def _wait(self, running: _Running, stop: StopSignal) -> None:
        stopping = asyncio.create_task(stop.wait())
        running.waiting += 1
        try:
            await asyncio.wait((running.task, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.waiting -= 1
            stopping.cancel()
            if not running.task.done() and stop.is_set and not running.waiting:
                running.stop.set(TurnStopped())
        if stop.is_set and not running.waiting:
            await asyncio.wait((running.task,))
        stop.check()
        running.task.result()

    def _over(self, session_id: uuid.UUID, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # raised to whoever waits, perhaps to nobody
        found = self._running.get(session_id)
        if found is not None and found.task is task:
            del self._running[session_id]

    async def _run(self, session: Session, stop: StopSignal) -> None:
        container_id, was_begun = await self._claim(session)
        if not container_id:
            return
        failure: tuple[ContainerState, str] | None = None
        try:
            failure = await self._commands(session, container_id, stop, was_begun=was_begun)
        except asyncio.CancelledError:
            raise  # they go on, and are taken up by the next process
        except BaseException:
            await self._release(session, container_id, is_done=False)
            raise
        if failure is None:
            await self._release(session, container_id, is_done=True)
            return
        state, reason = failure
        await self.sandboxes.discard(session, state, reason)
        raise SetupFailedError(reason)

    async def _claim(self, session: Session) -> tuple[str, bool]:
        """The container to set up, empty for one that is, and whether that was begun before."""
        lease = self.sandboxes.lease
        while True:
            row = await rows.row_of(session.id)
            if not row.container_id:
                raise ContainerLostError("The container went away just now. Try again.")
            was_begun = row.setup_container == row.container_id
            if was_begun and not row.setup_holder:
                return "", False
            is_others = was_begun and row.setup_holder != lease
            if is_others and not await is_holder_dead(
                row.setup_holder, since=row.container_started_at
            ):
                await asyncio.sleep(OTHERS_POLL_S)
                continue
            free = Session.objects.filter(
                id=row.id,
                container_id=row.container_id,
                setup_container=row.setup_container,
                setup_holder=row.setup_holder,
            )
            if await free.aupdate(setup_container=row.container_id, setup_holder=lease):
                return row.container_id, was_begun

    async def _release(self, session: Session, container_id: str, *, is_done: bool) -> None:
        ours = Session.objects.filter(
            id=session.id, setup_container=container_id, setup_holder=self.sandboxes.lease
        )
        if is_done:
            await ours.aupdate(setup_holder="")
        else:
            await ours.aupdate(setup_container="", setup_holder="")

    async def _commands(
        self, session: Session, container_id: str, stop: StopSignal, *, was_begun: bool
    ) -> tuple[ContainerState, str] | None:
        """Why the container is of no use, and what it is then; None when it is set up."""
        commands = Setup.from_json(session.setup).commands
        tool_call_id = f"setup-{container_id}"
        ids = [f"{tool_call_id}.{index}" for index in range(len(commands))]
        recorder = SessionRecorder(session, None)
        context = call_context(
            session,
            self.sandboxes,
            recorder,
            stop,
            container_id=container_id,
            recorded=await calls_named(session.id, ids) if was_begun else None,
        )
        try:
            for index, text in enumerate(commands):
                result = await run_command(
                    Command(
                        call_id=ids[index],
                        tool_call_id=tool_call_id,
                        index=index,
                        tool=TOOL,
                        text=text,
                        timeout_s=Limits.from_json(session.limits).command_timeout_s,
                    ),
                    context,
                )
                if result.ending["kind"] == "stopped" and stop.is_set:
                    return ContainerState.SUSPENDED, STOPPED
                if result.ending["kind"] != "exit" or result.ending["exit_code"] != 0:
                    which = f"Setup command {index + 1} of {len(commands)}"
                    return ContainerState.FAILED, f"{which} {_how(result)}. {_last_line(result)}"
        finally:
            await recorder.aclose()
        return None

    async def aclose(self) -> None:
        """What runs goes on."""
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _how(result: CommandResult) -> str:
    match result.ending:
        case {"kind": "exit", "exit_code": code}:
            return f"ended with exit code {code}"
        case {"kind": "timeout", "timeout_s": seconds}:
            return f"took longer than {seconds:g} s"
        case {"kind": "oom"}:
            return "ran out of memory"
        case {"kind": "disk_full"}:
            return "used up the disk space"
        case {"kind": "container_lost"}:
            return "lost its container"
    return f"was killed by {result.ending.get('signal') or 'a signal'}"


def _last_line(result: CommandResult) -> str:
    """Of what it said, for whoever does not see its output."""
    lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
    text = "".join(c if c.isprintable() else " " for c in lines[-1])[:300] if lines else ""
    return f"It said: {text}" if text else "It said nothing."
