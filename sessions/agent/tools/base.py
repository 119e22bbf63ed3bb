"""What a tool is, and what it may use while it runs."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from sessions.agent.output import MAX_OUTPUT_LENGTH, HeadTail
from sessions.agent.stop import StopSignal
from sessions.events.types import CallEnded, EventBody, Output, OutputDropped, Stream
from sessions.providers.base import ToolCall, ToolResultItem, ToolSpec
from sessions.sandbox.base import Sandbox
from sessions.sandbox.limits import Limits
from sessions.sandbox.setup import Setup


class ToolError(Exception):
    """The model asked for something that cannot be done; the sentence goes back to it."""


class Recorder(Protocol):
    """The way into the session's log. Events are stored in the order they are recorded."""

    async def record(self, *bodies: EventBody) -> None:
        """Waits while too much is on its way; the events are stored shortly after."""
        ...

    async def flush(self) -> None:
        """Returns once everything recorded so far is stored."""
        ...


class Connected(NamedTuple):
    """A sandbox, and which container it is."""

    sandbox: Sandbox
    container_id: str


Connect: TypeAlias = Callable[[], Awaitable[Connected]]
Reconnect: TypeAlias = Callable[[str], Awaitable[Sandbox]]
FindFiles: TypeAlias = Callable[[Collection[str]], Awaitable[Mapping[str, dict[str, Any]]]]


@dataclass(slots=True)
class RecordedCall:
    """What the log already holds of a call that an earlier process began."""

    container_id: str = ""
    """Where it began."""
    stored_bytes: int = 0
    """Of output, in the log."""
    kept: dict[Stream, HeadTail] = field(default_factory=dict)
    """As much of each stream as a model may ever be given: a log of many calls is large."""
    ended: CallEnded | None = None

    def add(self, body: Output | OutputDropped) -> None:
        """The call's next event, in the order of the log."""
        kept = self.kept.setdefault(body.stream, HeadTail(MAX_OUTPUT_LENGTH))
        if isinstance(body, OutputDropped):
            kept.skip(body.length)
        else:
            kept.add(body.content)
            self.stored_bytes += len(body.content)


@dataclass(frozen=True, slots=True)
class ToolContext:
    recorder: Recorder
    connect: Connect
    """A sandbox with a live container, made when there is none yet. Raises: SandboxError."""
    reconnect: Reconnect
    """That very container, over a new channel when the last one broke. Raises: ContainerLostError when it is
    gone, SandboxUnavailableError when the engine does not answer."""
    discard: Callable[[str], Awaitable[None]]
    """Remove the container for the reason given; the workspace stays. Raises: SandboxError when that
    is left to whoever uses the session next."""
    find_shell: Callable[[], Awaitable[str]]
    """Path of the best shell the image has."""
    limits: Limits
    stop: StopSignal
    setup: Setup = field(default_factory=Setup)
    """Variables and user of the commands."""
    recorded: Mapping[str, RecordedCall] = field(default_factory=dict)
    """By `call_id`; empty but for a turn that goes on after a restart."""
    find_files: FindFiles | None = None
    """Which paths of the workspace are files, and how each is cited; None where nobody asks for
    citations. Raises: SandboxError."""


class Tool(Protocol):
    @property
    def spec(self) -> ToolSpec: ...

    async def run(self, call: ToolCall, context: ToolContext) -> ToolResultItem:
        """Raises: ToolError; SandboxUnavailableError when the sandbox cannot be had at all."""
        ...
