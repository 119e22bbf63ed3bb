"""One task through the product's own agent loop, in a sandbox of its own."""

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from typing_extensions import override

from sessions.agent.limits import TurnEnd, TurnLimits
from sessions.agent.loop import TurnState, run_turn
from sessions.agent.stop import StopSignal
from sessions.agent.tools.base import Connected, Recorder, ToolContext
from sessions.agent.tools.run_file import RunFileTool
from sessions.agent.tools.shell import ShellTool
from sessions.errors import BerthError, SandboxUnavailableError
from sessions.events.types import CallEnded, CallStarted, EventBody, MessageDone, Output, StepEnded
from sessions.providers.base import Provider, UserMessage
from sessions.sandbox.base import ContainerSpec, Sandbox, SandboxBackend
from sessions.sandbox.channel import open_channel
from sessions.sandbox.limits import Limits
from tests.evaluation.task import CheckFailed, EvaluationTask, Workspace

LIMITS = Limits(command_timeout_s=30, max_steps=12)


@dataclass
class Transcript(Recorder):
    """Keeps what the loop records, as text for a person and with its figures."""

    lines: list[str] = field(default_factory=list)
    steps: int = 0
    tokens: int = 0

    @override
    async def record(self, *bodies: EventBody) -> None:
        for body in bodies:
            match body:
                case MessageDone(text=text):
                    self.lines.append(f"--- model\n{text}")
                case CallStarted(command=command):
                    self.lines.append(f"--- $ {command}")
                case Output(content=content):
                    self.lines.append(content.decode("utf-8", "replace"))
                case CallEnded(ending=ending):
                    self.lines.append(f"--- ended {ending}")
                case StepEnded():
                    self.steps += 1
                    self.tokens += body.input_tokens + body.output_tokens

    @override
    async def flush(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Outcome:
    """`failure` is empty when the check passed. `end` is how the turn ended."""

    task: str
    failure: str
    end: str
    seconds: float
    steps: int
    tokens: int
    transcript: str

    @property
    def has_passed(self) -> bool:
        return not self.failure


@asynccontextmanager
async def fresh_sandbox(backend: SandboxBackend, image: str) -> AsyncIterator[Sandbox]:
    session_id = str(uuid.uuid4())
    volume = f"berth-evaluation-{session_id[:8]}"
    container_id = await backend.create(ContainerSpec(session_id, image, volume, LIMITS))
    try:
        channel = await open_channel(await backend.open(container_id))
        try:
            yield channel
        finally:
            await channel.close()
    finally:
        await backend.remove(container_id)
        await backend.remove_volume(volume)


async def run_task(
    task: EvaluationTask, *, provider: Provider, backend: SandboxBackend, image: str
) -> Outcome:
    async with fresh_sandbox(backend, image) as sandbox:
        transcript = Transcript()
        started_at = time.monotonic()
        end = await _turn(task, provider, sandbox, transcript)
        seconds = time.monotonic() - started_at
        failure = ""
        try:
            await task.check(Workspace(sandbox))
        except (CheckFailed, BerthError) as failed:
            failure = str(failed) or "failed"
        return Outcome(
            task.name,
            failure,
            end,
            seconds,
            transcript.steps,
            transcript.tokens,
            "\n".join(transcript.lines),
        )


async def _turn(
    task: EvaluationTask, provider: Provider, sandbox: Sandbox, transcript: Transcript
) -> str:
    async def connect() -> Connected:
        return Connected(sandbox, "evaluation")

    async def reconnect(_container_id: str) -> Sandbox:
        return sandbox

    async def find_shell() -> str:
        return "/bin/sh"

    async def discard(reason: str) -> None:
        raise SandboxUnavailableError(reason)

    context = ToolContext(
        recorder=transcript,
        connect=connect,
        reconnect=reconnect,
        discard=discard,
        find_shell=find_shell,
        limits=LIMITS,
        stop=StopSignal(),
    )
    try:
        await run_turn(
            provider=provider,
            tools=[ShellTool(), RunFileTool()],
            context=context,
            instructions="",
            state=TurnState(turn=1, items=[UserMessage(task.prompt)]),
            limits=TurnLimits(LIMITS.max_steps, LIMITS.max_tokens),
        )
    except TurnEnd as turn_end:
        return f"{turn_end.reason}: {turn_end.message}"
    except BerthError as error:
        return f"failed: {error.message}"
    return "completed"
