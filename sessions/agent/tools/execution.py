"""Run one command of a tool call from its first byte to its ending, whatever breaks between."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from sessions.agent.output import CappedOutput, HeadTail
from sessions.agent.stop import StopSignal
from sessions.agent.together import beside
from sessions.agent.tools.base import RecordedCall, ToolContext
from sessions.errors import (
    BerthError,
    ContainerLostError,
    EngineUnavailableError,
    InvalidInputError,
    ProtocolError,
    SandboxError,
    SandboxUnavailableError,
)
from sessions.events.types import (
    CallEnded,
    CallStarted,
    Ending,
    Notice,
    Output,
    OutputDropped,
    Stream,
)
from sessions.providers.base import CommandResult
from sessions.sandbox.base import Exec, ExecEnded, ExecOutput, ExecRequest, Sandbox
from sessions.sandbox.limits import MIB, size_text

logger = logging.getLogger(__name__)

MODEL_OUTPUT_BYTES = 12_000
"""Of each stream of a command, when the model sets no limit itself."""
ACK_EVERY_BYTES = 1 * MIB
ACK_EVERY_S = 0.2
ATTACH_WAIT_S = 1.0
UNANSWERED_S = 60.0
"""A container that runs is given up with what runs in it after so long without a word."""
ENGINE_WAIT_S = 2.0
OVERDUE_S = 30.0
"""A command that the guest has not ended this long after its time takes its container along."""
STOP_OVERDUE_S = 10.0


@dataclass(frozen=True, slots=True)
class Launch:
    """What the guest starts for a command."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


Launcher: TypeAlias = Callable[[Sandbox, str], Awaitable[Launch]]
"""Given a sandbox and the path of its shell; asked again for each attachment."""


@dataclass(frozen=True, slots=True)
class Command:
    """`call_id` names it in the log and to the guest: the same id never runs twice."""

    call_id: str
    tool_call_id: str
    index: int
    tool: str
    text: str
    timeout_s: float
    max_output_length: int | None = None
    writes: str = ""
    launch: Launcher | None = None
    """None runs `text` in a shell."""
    argv: tuple[str, ...] = ()
    """In place of `text` to a shell."""
    cwd: str = "/workspace"
    env: Mapping[str, str] = field(default_factory=dict)
    """Beside those of the session."""
    stdin: bytes | None = None
    """None closes it at once."""


class _Progress:
    """How far the output of one command has come."""

    def __init__(self, command: Command, max_output_bytes: int) -> None:
        self._limit = command.max_output_length or MODEL_OUTPUT_BYTES
        self.kept: dict[Stream, HeadTail] = {
            "stdout": HeadTail(self._limit),
            "stderr": HeadTail(self._limit),
        }
        self._call_id = command.call_id
        self.capped = CappedOutput(command.call_id, max_output_bytes)
        self.recorded: dict[Stream, int] = {}
        """Up to where each stream was handed to the log."""
        self.acked: dict[Stream, int] = {}
        self.exec_: Exec | None = None
        """As it was attached to last."""
        self.started_at = time.monotonic()

    def offset(self, stream: Stream) -> int:
        return self.kept[stream].total

    def is_recorded(self, stream: Stream) -> None:
        """All that was added of it so far."""
        self.recorded[stream] = self.offset(stream)

    @property
    def unacked(self) -> int:
        return sum(end - self.acked.get(one, 0) for one, end in self.recorded.items())

    @property
    def total(self) -> int:
        return sum(kept.total for kept in self.kept.values())

    def replay(self, recorded: RecordedCall) -> None:
        """Take up what an earlier process stored."""
        for stream, kept in recorded.kept.items():
            self.kept[stream] = kept.narrowed(self._limit)
        self.capped.stored_before(recorded.stored_bytes)

    def add(self, piece: ExecOutput) -> Iterator[Output | OutputDropped]:
        """The events to store for a piece. The guest is not trusted to count: what it sends
        twice is cut off, what it leaves out is recorded as dropped."""
        gap = piece.offset - self.offset(piece.stream)
        if gap < 0:
            if -gap >= len(piece.data):
                return
            piece = ExecOutput(piece.stream, piece.offset - gap, piece.data[-gap:])
        elif gap:
            self.kept[piece.stream].skip(gap)
            yield OutputDropped(self._call_id, piece.stream, piece.offset - gap, gap)
        self.kept[piece.stream].add(piece.data)
        stored = self.capped.add(piece)
        if stored is not None:
            yield stored


async def run_command(command: Command, context: ToolContext) -> CommandResult:
    """Run it, record it, and say how it ended. Raises: SandboxUnavailableError, ImageNotFoundError
    when there was no container to run it in."""
    started_at = time.monotonic()
    progress = _Progress(command, context.limits.max_output_bytes)
    recorded = context.recorded.get(command.call_id)
    if recorded is None:
        _, container_id = await context.connect()
        await context.recorder.record(_started(command, container_id))
        # A server killed now must know of it: in another container it would run a second time.
        await context.recorder.flush()
    else:
        # It began before: it is only ever looked for where it began, because in another
        # container it would run a second time.
        container_id = recorded.container_id
        progress.replay(recorded)
        if recorded.ended is not None:
            return _result(command, progress, _as_ended(recorded.ended))
    try:
        end = await _follow(command, context, progress, container_id)
    except (SandboxError, InvalidInputError) as error:
        end = await _refused(command, context, progress, error)
    end = end or _lost(started_at, progress)
    await _record_end(command, context, progress, end)
    await _ack_to_the_end(context, progress)
    return _result(command, progress, end)


def _started(command: Command, container_id: str) -> CallStarted:
    return CallStarted(
        call_id=command.call_id,
        tool_call_id=command.tool_call_id,
        index=command.index,
        tool=command.tool,
        command=command.text,
        timeout_s=command.timeout_s,
        cwd=command.cwd,
        writes=command.writes,
        container_id=container_id,
    )


def _as_ended(body: CallEnded) -> ExecEnded:
    return ExecEnded(
        ending=Ending.from_json(body.ending),
        duration_ms=body.duration_ms,
        stdout_bytes=body.stdout_bytes,
        stderr_bytes=body.stderr_bytes,
        log_path=body.log_path,
    )


def _lost(started_at: float, progress: _Progress) -> ExecEnded:
    return ExecEnded(
        ending=Ending("container_lost"),
        duration_ms=int((time.monotonic() - started_at) * 1000),
        stdout_bytes=progress.offset("stdout"),
        stderr_bytes=progress.offset("stderr"),
    )


async def _refused(
    command: Command, context: ToolContext, progress: _Progress, error: BerthError
) -> ExecEnded | None:
    """The guest would not run it: 126 with a reason, as a shell says of what it cannot run. None
    when the command had begun, for then its end is not known."""
    if command.call_id in context.recorded or progress.total:
        return None
    said = f"berth: {error.message}\n".encode()
    await context.recorder.record(
        *progress.add(ExecOutput("stderr", progress.offset("stderr"), said))
    )
    return ExecEnded(Ending("exit", exit_code=126), 0, 0, progress.offset("stderr"))


class _Patience:
    """With a container that runs and does not answer."""

    def __init__(self, progress: _Progress) -> None:
        self._progress = progress
        self._unanswered_s = 0.0

    def try_begins(self) -> None:
        self._began_at = time.monotonic()
        self._seen = self._progress.total
        self.is_reached = False
        """Set as soon as the container was."""

    def is_over(self, stop: StopSignal) -> bool:
        """After a try that failed. Output shows that it lives; only being reached does not."""
        if self._progress.total > self._seen:
            self._unanswered_s = 0.0
        elif not self.is_reached:
            self._unanswered_s += time.monotonic() - self._began_at
        return self._unanswered_s > (STOP_OVERDUE_S if stop.is_set else UNANSWERED_S)

    async def wait(self) -> None:
        await asyncio.sleep(ATTACH_WAIT_S)
        self._unanswered_s += ATTACH_WAIT_S


async def _follow(
    command: Command, context: ToolContext, progress: _Progress, container_id: str
) -> ExecEnded | None:
    """To the end over as many channels as it takes; None when the container is gone.

    While the engine is away the command is waited for: it may well go on without it. So it is while
    the container runs and does not answer, but not for ever: then it is removed, since a command
    that is said to be lost must not go on."""
    patience = _Patience(progress)
    while True:
        patience.try_begins()
        try:
            async with _deadline(command, context.stop):
                sandbox = await context.reconnect(container_id)
                patience.is_reached = True
                shell = await context.find_shell()
                return await _attach(command, context, progress, sandbox, shell)
        except TimeoutError:
            return await _overdue(command, context, progress)
        except ContainerLostError:
            return None
        except ProtocolError as error:
            await discard(context, error.message)
            return None
        except EngineUnavailableError:
            if context.stop.is_set:
                return await _overdue(command, context, progress)
            await context.stop.wait_for(ENGINE_WAIT_S)
        except SandboxUnavailableError as error:
            if patience.is_over(context.stop):
                return await _given_up(command, context, progress)
            logger.warning("call %s: %s; attaching again", command.call_id, error)
            await patience.wait()


async def _given_up(
    command: Command, context: ToolContext, progress: _Progress
) -> ExecEnded | None:
    if context.stop.is_set:
        return await _overdue(command, context, progress)
    await discard(context, "It no longer answered and was removed.")
    return None


@asynccontextmanager
async def _deadline(command: Command, stop: StopSignal) -> AsyncIterator[None]:
    """Raises TimeoutError when the guest, which is not trusted, lets the command's time or a Stop
    pass without ending it."""
    now = asyncio.get_running_loop().time
    async with asyncio.timeout(command.timeout_s + OVERDUE_S) as deadline:

        async def shorten() -> None:
            await stop.wait()
            deadline.reschedule(min(deadline.when() or now(), now() + STOP_OVERDUE_S))

        async with beside(shorten()):
            yield


async def _overdue(command: Command, context: ToolContext, progress: _Progress) -> ExecEnded:
    """End it with its container, since nothing else did."""
    await discard(context, "It did not end a command in time and was removed.")
    ending = (
        Ending("stopped", signal="SIGKILL")
        if context.stop.is_set
        else Ending("timeout", signal="SIGKILL", timeout_s=command.timeout_s)
    )
    duration_ms = int((time.monotonic() - progress.started_at) * 1000)
    return ExecEnded(ending, duration_ms, progress.offset("stdout"), progress.offset("stderr"))


async def discard(context: ToolContext, reason: str) -> None:
    """Whoever uses the session next removes the container where that cannot be done now."""
    try:
        await context.discard(reason)
    except SandboxError as error:
        logger.warning("a container is removed later: %s", error)


async def _attach(
    command: Command, context: ToolContext, progress: _Progress, sandbox: Sandbox, shell: str
) -> ExecEnded:
    how = Launch(command.argv or (shell, "-c", command.text))
    if command.launch is not None:
        how = await command.launch(sandbox, shell)
    if progress.total:
        await context.recorder.flush()  # the offsets below acknowledge it
    exec_ = await sandbox.exec(
        ExecRequest(
            exec_id=command.call_id,
            argv=how.argv,
            cwd=command.cwd,
            env={**context.setup.env, **command.env, **how.env},
            user=context.setup.user,
            timeout_s=command.timeout_s,
            stdin=command.stdin is not None,
            stdout_offset=progress.offset("stdout"),
            stderr_offset=progress.offset("stderr"),
        )
    )
    progress.exec_ = exec_
    async with (
        beside(_stop_in_time(context.stop, exec_)),
        beside(_feed(exec_, command.stdin)),
        beside(_ack_in_time(context, progress, exec_)),
    ):
        async for piece in exec_:
            if isinstance(piece, ExecEnded):
                return piece
            await context.recorder.record(*progress.add(piece))
            progress.is_recorded(piece.stream)
            if progress.unacked >= ACK_EVERY_BYTES:
                await _ack(context, progress, exec_)
    raise SandboxUnavailableError("The command's stream ended without its ending.")


async def _ack(context: ToolContext, progress: _Progress, exec_: Exec) -> None:
    """What the log has; of what comes meanwhile later."""
    if not progress.unacked:
        return
    recorded = dict(progress.recorded)
    await context.recorder.flush()
    for stream, offset in recorded.items():
        if offset > progress.acked.get(stream, 0):
            await exec_.ack(stream, offset)
            progress.acked[stream] = offset


async def _ack_in_time(context: ToolContext, progress: _Progress, exec_: Exec) -> None:
    """The guest holds only so much for all commands together: among many that print, one may wait
    for room long before its next megabyte."""
    while True:
        await asyncio.sleep(ACK_EVERY_S)
        await _ack(context, progress, exec_)


async def _ack_to_the_end(context: ToolContext, progress: _Progress) -> None:
    """Once the end is recorded as well: the guest keeps nothing of it. Where it cannot be told, it
    forgets by itself, or is gone."""
    if progress.exec_ is not None:
        with suppress(SandboxError):
            await _ack(context, progress, progress.exec_)


async def _stop_in_time(stop: StopSignal, exec_: Exec) -> None:
    """Kill the command's process tree as soon as `stop` is set."""
    await stop.wait()
    await exec_.stop()


async def _feed(exec_: Exec, stdin: bytes | None) -> None:
    """Give the command its input, what of it an earlier attachment did not, while it prints."""
    if stdin is None:
        return
    try:
        await exec_.write_stdin(stdin[await exec_.stdin_offset() :])
        await exec_.close_stdin()
    except SandboxError as error:
        # Told by its output as well.
        logger.info("exec %s: its input: %s", exec_.exec_id, error)


async def _record_end(
    command: Command, context: ToolContext, progress: _Progress, end: ExecEnded
) -> None:
    await context.recorder.record(
        *progress.capped.finish(),
        CallEnded(
            call_id=command.call_id,
            ending=end.ending.to_json(),
            duration_ms=end.duration_ms,
            stdout_bytes=end.stdout_bytes,
            stderr_bytes=end.stderr_bytes,
            log_path=end.log_path,
        ),
        *_warnings(end.ending),
    )


def _warnings(ending: Ending) -> Iterator[Notice]:
    """What a person should know beyond the one command."""
    if ending.kind == "disk_full":
        limit = f" of {size_text(ending.limit_bytes)}" if ending.limit_bytes else ""
        text = f"The disk space{limit} is used up. The command was ended; deleting files helps."
        yield Notice("warning", text, "disk_full")


def _result(command: Command, progress: _Progress, end: ExecEnded) -> CommandResult:
    return CommandResult(
        command=command.text,
        stdout=progress.kept["stdout"].text(end.log_path),
        stderr=progress.kept["stderr"].text(end.log_path),
        ending=end.ending.to_json(),
        duration_ms=end.duration_ms,
    )
