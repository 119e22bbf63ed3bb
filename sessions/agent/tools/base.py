"""What a tool is, and what it may use while it runs."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from sessions.agent.stop import StopSignal
from sessions.events.types import CallEnded, EventBody, Output, OutputDropped
from sessions.providers.base import ToolCall, ToolResultItem, ToolSpec
from sessions.sandbox.base import Sandbox
from sessions.sandbox.limits import Limits


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


@dataclass(slots=True)
class RecordedCall:
    """What the log already holds of a call that an earlier process began."""

    outputs: list[Output | OutputDropped] = field(default_factory=list)
    ended: CallEnded | None = None


@dataclass(frozen=True, slots=True)
class ToolContext:
    recorder: Recorder
    connect: Connect
    """A sandbox with a live container, made when there is none yet. Raises: SandboxError."""
    reconnect: Reconnect
    """That very container, over a new channel when the last one broke. Raises: ContainerLostError when it is
    gone, SandboxUnavailableError when the engine does not answer."""
    discard: Callable[[str], Awaitable[None]]
    """Remove the container for the reason given; the workspace stays. Raises:
    EngineUnavailableError."""
    find_shell: Callable[[], Awaitable[str]]
    """Path of the best shell the image has."""
    limits: Limits
    stop: StopSignal
    recorded: Mapping[str, RecordedCall] = field(default_factory=dict)
    """By `call_id`; empty but for a turn that goes on after a restart."""
    recorded_in: str = ""
    """The container those calls began in, empty when there was none left."""


class Tool(Protocol):
    @property
    def spec(self) -> ToolSpec: ...

    async def run(self, call: ToolCall, context: ToolContext) -> ToolResultItem:
        """Raises: ToolError; SandboxUnavailableError when the sandbox cannot be had at all."""
        ...
