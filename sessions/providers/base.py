"""What the agent asks of a model: conversation items and tools in, typed deltas out.

Items are provider-neutral and JSON-serialisable, so that a conversation can be rebuilt from the
log. A provider that needs more than they hold (encrypted reasoning, its own ids) keeps it in `raw`.
"""

import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

PYTHON = "python"
"""Name of the tool that runs code in an interpreter of ours."""

Role: TypeAlias = Literal["user", "system", "developer"]


@dataclass(frozen=True, slots=True)
class UserMessage:
    """`parts` are content parts of the Responses API (`input_text`, `input_image`, `input_file`)
    where there is more than text; `text` then holds their text alone."""

    type: ClassVar[str] = "user_message"
    text: str
    role: Role = "user"
    parts: list[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    type: ClassVar[str] = "assistant_message"
    text: str
    raw: dict[str, Any] | None = None
    annotations: list[dict[str, Any]] = field(default_factory=list)
    """Of the text, beside those in `raw`, in the words of the Responses API."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    type: ClassVar[str] = "reasoning"
    text: str
    raw: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is what the tool of that name takes (agent/tools/)."""

    type: ClassVar[str] = "tool_call"
    tool_call_id: str
    name: str
    arguments: dict[str, Any]
    raw: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CommandResult:
    """One command as the model sees it: text, already cut to head and tail."""

    command: str
    stdout: str
    stderr: str
    ending: dict[str, Any]
    """events.types.Ending as JSON."""
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class ToolResultItem:
    """`commands` for tools that ran commands; `text` for what else there is to say (errors)."""

    type: ClassVar[str] = "tool_result"
    tool_call_id: str
    name: str
    commands: list[CommandResult] = field(default_factory=list)
    text: str = ""
    max_output_length: int | None = None
    raw: dict[str, Any] | None = None
    """The item as a program sent it, where the Responses API takes it back like that."""
    images: list[str] = field(default_factory=list)
    """Pictures that code showed, as `data:` URLs."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """A summary in place of what came before it (agent/compaction.py), for every model a message of
    the user's. `calls` of the latest message's turn are in it."""

    type: ClassVar[str] = "compacted"
    text: str
    calls: int = 0


Item: TypeAlias = (
    UserMessage | AssistantMessage | Reasoning | ToolCall | ToolResultItem | Compacted
)
_ITEM_TYPES: dict[str, Any] = {
    cls.type: cls
    for cls in (UserMessage, AssistantMessage, Reasoning, ToolCall, ToolResultItem, Compacted)
}


def item_to_json(item: Item) -> dict[str, Any]:
    return {"type": item.type, **dataclasses.asdict(item)}


def item_from_json(value: dict[str, Any]) -> Item:
    """The inverse of `item_to_json`. Raises KeyError or TypeError for anything else."""
    fields = {k: v for k, v in value.items() if k != "type"}
    if value["type"] == ToolResultItem.type:
        fields["commands"] = [CommandResult(**c) for c in fields.get("commands", [])]
    item: Item = _ITEM_TYPES[value["type"]](**fields)
    return item


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """`parameters` is a JSON schema. `shell` is special: providers may map it to their own."""

    name: str
    description: str
    parameters: dict[str, Any]
    is_strict: bool = False
    """Whether arguments must follow the schema to the letter."""
    native: dict[str, Any] | None = None
    """As the Responses API declares it, where it is no function there; elsewhere it is one."""
    problem: Callable[[dict[str, Any]], str] | None = None
    """What is wrong with arguments of a tool that the caller runs, for the model; empty for
    nothing."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What a program asks of the model beyond the conversation, in the words of the Responses API.
    None leaves it to the endpoint."""

    instructions: str | None = None
    """Its own, which are part of the request's: for models with a prompt of their own."""
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    parallel_tool_calls: bool | None = None
    tool_choice: str | dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    """`format` and `verbosity`."""
    reasoning: dict[str, Any] | None = None
    """`effort` and `summary`."""
    truncation: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    instructions: str
    items: Sequence[Item]
    tools: Sequence[ToolSpec]
    options: ModelOptions = ModelOptions()
    purpose: Literal["answer", "summary"] = "answer"
    """A summary is of the one message that the request then holds, without tools."""


# Deltas, in the order they arrive: any number of text and reasoning pieces and retries, then the
# whole items, then one Finished.


@dataclass(frozen=True, slots=True)
class TextDelta:
    """`index` tells the messages of one answer apart."""

    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class Retrying:
    """The provider waits and asks again. What was streamed before in this step is void."""

    attempt: int
    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class ItemDone:
    """`index` is that of its deltas."""

    item: AssistantMessage | Reasoning | ToolCall
    index: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """`note` ends the turn with a sentence for the person when the provider wants it ended."""

    input_tokens: int = 0
    output_tokens: int = 0
    stop_reason: Literal["end", "tool_calls", "length", "content_filter", "repeated"] = "end"
    note: str = ""


Delta: TypeAlias = TextDelta | ReasoningDelta | Retrying | ItemDone | Finished


Ability: TypeAlias = Literal["sampling", "functions", "images", "formats", "reasoning"]
"""Temperature and the like; tools of the caller; parts that are no text; `text`; `reasoning`."""
ALL_ABILITIES: frozenset[Ability] = frozenset(
    ("sampling", "functions", "images", "formats", "reasoning")
)


class Provider(Protocol):
    """A model that can be asked. Closing the iterator cancels the request.

    Raises, from the iterator: the ProviderError family, and nothing else on purpose.
    """

    kind: str
    """`openai_responses`, `openai_chat`, `local` or `scripted`."""
    model: str
    is_tool_markdown: bool
    """True when the model is driven in Markdown and never sees tool schemas."""
    takes: frozenset[Ability]
    """What of a program's request it can honour; the rest has to be refused."""

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta]: ...


@runtime_checkable
class CountsTokens(Protocol):
    """A provider whose endpoint can tell how long a request is."""

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """None when it cannot after all. Raises: ProviderError."""
        ...


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Whether a provider can be asked now, for the dashboard. Sizes in bytes."""

    state: Literal["ready", "downloading", "verifying", "loading", "failed"]
    done_bytes: int = 0
    total_bytes: int = 0
    message: str = ""
