"""The events of a session's log, one frozen dataclass each.

An event body becomes a row by `to_payload` (a JSON object) and, for output alone, `data` (raw
bytes). `from_payload` is the exact inverse. Adding an event means: a class here, an entry in
`EVENT_TYPES`, a log test and a case in `static/js/session/protocol.js`.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from typing_extensions import override

Stream: TypeAlias = Literal["stdout", "stderr", "pty"]
EndingKind: TypeAlias = Literal[
    "exit", "signal", "timeout", "stopped", "oom", "disk_full", "container_lost"
]
TurnEndReason: TypeAlias = Literal[
    "completed", "step_limit", "token_limit", "cost_limit", "time_limit", "stopped", "failed"
]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended: exactly one of seven kinds."""

    kind: EndingKind
    exit_code: int | None = None
    """Set for `exit` only."""
    signal: str | None = None
    """Set for `signal`, and where known for the kinds that killed: `SIGKILL`."""
    limit_bytes: int | None = None
    """Memory limit for `oom` and beside `oom_kills`; for `disk_full` the session's disk limit, or
    the size of the disk where that itself is full."""
    peak_bytes: int | None = None
    """Peak memory, where `limit_bytes` is of memory."""
    used_bytes: int | None = None
    """What was used of `limit_bytes`, for `disk_full`."""
    timeout_s: float | None = None
    """The limit that ran out, for `timeout`."""
    oom_kills: int | None = None
    """Processes of the container that were killed for memory while the command ran; also beside
    an `exit`, for a shell goes on when what it started was killed."""

    def to_json(self) -> dict[str, Any]:
        return {k: v for k, v in dataclasses.asdict(self).items() if v is not None}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Ending":
        return cls(**value)


@dataclass(frozen=True, slots=True)
class EventBody:
    type: ClassVar[str]

    def to_payload(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @property
    def data(self) -> bytes:
        """Raw bytes stored beside the payload; empty for all but output."""
        return b""

    @classmethod
    def from_payload(cls, payload: dict[str, Any], data: bytes) -> "EventBody":
        return cls(**payload)


@dataclass(frozen=True, slots=True)
class SessionCreated(EventBody):
    type: ClassVar[str] = "session.created"
    title: str
    provider: str
    model: str
    image: str
    limits: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionStatus(EventBody):
    type: ClassVar[str] = "session.status"
    status: str


@dataclass(frozen=True, slots=True)
class SessionKept(EventBody):
    """What keeps the idle session from being suspended, told when that changes: `shell`, a program
    that runs in a person's shell; `program`, one in the background that uses the CPU; empty when
    nothing does any more."""

    type: ClassVar[str] = "session.kept"
    by: str


@dataclass(frozen=True, slots=True)
class ContainerState(EventBody):
    """`state` is one of models.ContainerState; `reason` is a sentence, empty when ordinary."""

    type: ClassVar[str] = "container.state"
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SkillsAdded(EventBody):
    """Skills that the session's container has from now on, whatever container that is.

    Each has `name`, `path` (its folder in the container) and, when it was copied from one that is
    kept here, `skill_id` and `version`."""

    type: ClassVar[str] = "skills.added"
    skills: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TurnQueued(EventBody):
    type: ClassVar[str] = "turn.queued"
    turn: int
    text: str
    files: list[str] = field(default_factory=list)
    """Workspace paths of the files that were uploaded with the message."""


@dataclass(frozen=True, slots=True)
class TurnRemoved(EventBody):
    type: ClassVar[str] = "turn.removed"
    turn: int


@dataclass(frozen=True, slots=True)
class TurnStarted(EventBody):
    type: ClassVar[str] = "turn.started"
    turn: int
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class TurnStopping(EventBody):
    """A person pressed Stop; the turn ends shortly after."""

    type: ClassVar[str] = "turn.stopping"
    turn: int


@dataclass(frozen=True, slots=True)
class TurnEnded(EventBody):
    """`message` and `hint` are sentences for a person, empty when there is nothing to say."""

    type: ClassVar[str] = "turn.ended"
    turn: int
    reason: TurnEndReason
    message: str = ""
    hint: str = ""
    duration_ms: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class StepStarted(EventBody):
    """One model request begins. Deltas of an earlier, cut attempt at this step are void."""

    type: ClassVar[str] = "step.started"
    turn: int
    step: int


@dataclass(frozen=True, slots=True)
class StepEnded(EventBody):
    """What the model said in this step, as provider-neutral items (providers/base.py)."""

    type: ClassVar[str] = "step.ended"
    turn: int
    step: int
    items: list[dict[str, Any]]
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ContextCompacted(EventBody):
    """From here on the model is given a shorter conversation; the log keeps the whole one. `content`
    is sealed (responses/sealed.py). Tokens are of the request before, and of the summary that the
    model wrote."""

    type: ClassVar[str] = "context.compacted"
    turn: int
    content: str
    tokens_before: int
    tokens_after: int
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class MessageDelta(EventBody):
    """`kind` is `text` or `reasoning`; `message_id` is unique in the session."""

    type: ClassVar[str] = "message.delta"
    message_id: str
    kind: Literal["text", "reasoning"]
    text: str


@dataclass(frozen=True, slots=True)
class MessageDone(EventBody):
    type: ClassVar[str] = "message.done"
    message_id: str
    kind: Literal["text", "reasoning"]
    text: str


@dataclass(frozen=True, slots=True)
class ProviderRetry(EventBody):
    type: ClassVar[str] = "provider.retry"
    attempt: int
    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Notice(EventBody):
    type: ClassVar[str] = "notice"
    level: Literal["info", "warning", "error"]
    text: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Resources(EventBody):
    """What the container uses while a turn runs; None for what the kernel does not tell."""

    type: ClassVar[str] = "resources"
    cpu_percent: float | None
    """Of the session's limit, over the time since the last look."""
    memory_bytes: int | None
    memory_limit_bytes: int | None
    memory_peak_bytes: int | None
    pids: int | None
    pids_limit: int | None
    disk_used_bytes: int | None
    """What the session wrote: its workspace and the container's own layer."""
    disk_limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class CallStarted(EventBody):
    """One command begins. `call_id` is unique in the session; commands of one tool call share
    `tool_call_id` and are told apart by `index`."""

    type: ClassVar[str] = "call.started"
    call_id: str
    tool_call_id: str
    index: int
    tool: str
    command: str
    timeout_s: float
    cwd: str = "/workspace"
    writes: str = ""
    """Workspace path of a file the call saves before it runs, empty for none."""
    container_id: str = ""
    """Where it runs, and nowhere else: in another container it would run a second time."""


@dataclass(frozen=True, slots=True)
class Output(EventBody):
    """`offset` counts the bytes of this stream of this call before this piece."""

    type: ClassVar[str] = "output"
    call_id: str
    stream: Stream
    offset: int
    content: bytes = b""

    @override
    def to_payload(self) -> dict[str, Any]:
        return {"call_id": self.call_id, "stream": self.stream, "offset": self.offset}

    @property
    @override
    def data(self) -> bytes:
        return self.content

    @classmethod
    @override
    def from_payload(cls, payload: dict[str, Any], data: bytes) -> "Output":
        return cls(**payload, content=data)


@dataclass(frozen=True, slots=True)
class OutputDropped(EventBody):
    """`length` bytes from `offset` on were not stored; the file in the container has them."""

    type: ClassVar[str] = "output.dropped"
    call_id: str
    stream: Stream
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class CallEnded(EventBody):
    """`ending` is an `Ending` as JSON; `log_path` is the file in the container with all output."""

    type: ClassVar[str] = "call.ended"
    call_id: str
    ending: dict[str, Any]
    duration_ms: int
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    log_path: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult(EventBody):
    """What goes back to the model for one tool call, as a provider-neutral item."""

    type: ClassVar[str] = "tool.result"
    tool_call_id: str
    item: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProgramSent(EventBody):
    """What a program that keeps the conversation itself sent beside the message of its turn, each
    with `role` and `text`; an answer of a tool also with `tool_call_id`. `left_out` were too many
    to show."""

    type: ClassVar[str] = "program.sent"
    turn: int
    messages: list[dict[str, str]]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class ProgramCall(EventBody):
    """The model asks the program to run one of its tools. `arguments` is text as the model wrote
    it, perhaps cut."""

    type: ClassVar[str] = "program.call"
    turn: int
    tool_call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class SearchStarted(EventBody):
    """A search of files begins; again, under the same name, when a restart cut it off."""

    type: ClassVar[str] = "search.started"
    tool_call_id: str
    queries: list[str]


@dataclass(frozen=True, slots=True)
class SearchEnded(EventBody):
    """`results`, the best first: `file_id`, `filename`, `score`, `attributes`, `text`."""

    type: ClassVar[str] = "search.ended"
    tool_call_id: str
    results: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ShellOpened(EventBody):
    """A person opened a terminal of their own. What it shows are `output` events whose `call_id`
    is the shell's id and whose stream is `pty`. What is typed is not recorded."""

    type: ClassVar[str] = "shell.opened"
    shell_id: str
    user: str
    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class ShellWriter(EventBody):
    """Who has the keyboard of a shell from now on: a person's name and which of their pages."""

    type: ClassVar[str] = "shell.writer"
    shell_id: str
    user: str
    viewer: str
    """Tells the pages that look at one shell apart; means nothing elsewhere."""


@dataclass(frozen=True, slots=True)
class ShellResized(EventBody):
    """What comes behind byte `offset` is for a screen of this size."""

    type: ClassVar[str] = "shell.resized"
    shell_id: str
    offset: int
    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class ShellEnded(EventBody):
    """`ending` is an `Ending` as JSON; `reason` is a sentence, empty when the ending says all."""

    type: ClassVar[str] = "shell.ended"
    shell_id: str
    ending: dict[str, Any]
    duration_ms: int
    pty_bytes: int = 0
    reason: str = ""


EVENT_TYPES: dict[str, type[EventBody]] = {
    cls.type: cls
    for cls in (
        SessionCreated,
        SessionStatus,
        SessionKept,
        ContainerState,
        SkillsAdded,
        TurnQueued,
        TurnRemoved,
        TurnStarted,
        TurnStopping,
        TurnEnded,
        StepStarted,
        StepEnded,
        ContextCompacted,
        MessageDelta,
        MessageDone,
        ProviderRetry,
        Notice,
        Resources,
        CallStarted,
        Output,
        OutputDropped,
        CallEnded,
        ToolResult,
        ProgramSent,
        ProgramCall,
        SearchStarted,
        SearchEnded,
        ShellOpened,
        ShellWriter,
        ShellResized,
        ShellEnded,
    )
}


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of the log: `body` with its place in the session and its time."""

    seq: int
    body: EventBody
    created_at_ms: int
    """Unix time in milliseconds."""
