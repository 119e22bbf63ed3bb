"""What a program sends to ask for a response."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, FiniteFloat, StringConstraints, Tag

from sessions.api.containers import ContainerOptions
from sessions.api.include import Include, ItemsQuery
from sessions.api.items import CompactionTrigger, Item
from sessions.api.metadata import Metadata
from sessions.api.schema import RequestPart, with_example
from sessions.api.vector_stores import MAX_RESULTS, Filter, HybridWeights

MAX_TOOLS = 128
MAX_VECTOR_STORES = 10
MAX_LOCAL_SKILLS = 200
MAX_LOCAL_TEXT = 4096
"""Characters of what the model is told of one."""
ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


# Tools


class AutoContainer(ContainerOptions):
    """That of the response gone on from, else a new one."""

    type: Literal["container_auto"]


class ContainerReference(RequestPart):
    type: Literal["container_reference"]
    container_id: str


class LocalSkill(RequestPart):
    name: str = Field(min_length=1, max_length=200)
    description: str = Field(max_length=MAX_LOCAL_TEXT)
    path: str = Field(min_length=1, max_length=MAX_LOCAL_TEXT)


class LocalEnvironment(RequestPart):
    """The caller runs the commands."""

    type: Literal["local"]
    skills: list[LocalSkill] | None = Field(None, max_length=MAX_LOCAL_SKILLS)


class ShellTool(RequestPart):
    type: Literal["shell"]
    environment: (
        Annotated[
            AutoContainer | ContainerReference | LocalEnvironment, Field(discriminator="type")
        ]
        | None
    ) = None
    allowed_callers: list[Literal["direct"]] | None = Field(None, min_length=1)


class FunctionTool(RequestPart):
    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = True


class FreeText(RequestPart):
    type: Literal["text"]


class Grammar(RequestPart):
    type: Literal["grammar"]
    syntax: Literal["lark", "regex"]
    definition: str


class CustomTool(RequestPart):
    """Takes text instead of arguments."""

    type: Literal["custom"]
    name: ToolName
    description: str | None = None
    format: Annotated[FreeText | Grammar, Field(discriminator="type")] | None = None


class Namespace(RequestPart):
    """Tools of the caller under a name of theirs."""

    type: Literal["namespace"]
    name: ToolName
    description: str
    tools: list[Annotated[FunctionTool | CustomTool, Field(discriminator="type")]] = Field(
        min_length=1, max_length=MAX_TOOLS
    )


class ToolSearch(RequestPart):
    """The caller looks for more of its tools."""

    type: Literal["tool_search"]
    execution: Literal["client"]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ApplyPatchTool(RequestPart):
    """The caller changes its files as the model says."""

    type: Literal["apply_patch"]
    allowed_callers: list[Literal["direct"]] | None = Field(None, min_length=1)


class CodeContainer(ContainerOptions):
    """That of the response gone on from, else a new one. The hosted one takes no skills either."""

    type: Literal["auto"]
    skills: None = None


class CodeInterpreterTool(RequestPart):
    """`container` is an id, or what to make one with."""

    type: Literal["code_interpreter"]
    container: str | CodeContainer


class SearchRankingOptions(RequestPart):
    ranker: Literal["auto", "default-2024-11-15"] | None = None
    score_threshold: FiniteFloat | None = Field(None, ge=0, le=1)
    hybrid_search: HybridWeights | None = None


class FileSearch(RequestPart):
    """Runs here, without a container."""

    type: Literal["file_search"]
    vector_store_ids: list[str] = Field(min_length=1, max_length=MAX_VECTOR_STORES)
    max_num_results: int | None = Field(None, ge=1, le=MAX_RESULTS)
    filters: Filter | None = None
    ranking_options: SearchRankingOptions | None = None


Tool = Annotated[
    ShellTool
    | CodeInterpreterTool
    | FunctionTool
    | CustomTool
    | Namespace
    | ToolSearch
    | ApplyPatchTool
    | FileSearch,
    Field(discriminator="type"),
]


class ShellChoice(RequestPart):
    type: Literal["shell"]


class CodeInterpreterChoice(RequestPart):
    type: Literal["code_interpreter"]


class FileSearchChoice(RequestPart):
    type: Literal["file_search"]


class FunctionChoice(RequestPart):
    type: Literal["function"]
    name: ToolName


class CustomChoice(RequestPart):
    type: Literal["custom"]
    name: ToolName


class ApplyPatchChoice(RequestPart):
    type: Literal["apply_patch"]


Choice = (
    ShellChoice
    | CodeInterpreterChoice
    | FileSearchChoice
    | FunctionChoice
    | CustomChoice
    | ApplyPatchChoice
)


class AllowedTools(RequestPart):
    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[Annotated[Choice, Field(discriminator="type")]]


ToolChoice = (
    Literal["none", "auto", "required"]
    | Annotated[Choice | AllowedTools, Field(discriminator="type")]
)


def _input_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "trigger" if kind == "compaction_trigger" else "item"


# Options


class TextFormat(RequestPart):
    type: Literal["text"]


class JsonObjectFormat(RequestPart):
    type: Literal["json_object"]


class JsonSchemaFormat(RequestPart):
    type: Literal["json_schema"]
    name: ToolName
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class TextOptions(RequestPart):
    format: (
        Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]
        | None
    ) = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningOptions(RequestPart):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class StreamOptions(RequestPart):
    include_obfuscation: bool = Field(False, description="Nothing is added either way.")


class ContextManagement(RequestPart):
    """Without a threshold it is done when the endpoint takes no more."""

    type: Literal["compaction"]
    compact_threshold: int | None = Field(None, ge=1000)


InputItem = Annotated[
    Annotated[Item, Tag("item")] | Annotated[CompactionTrigger, Tag("trigger")],
    Discriminator(_input_kind),
]


class ConversationReference(RequestPart):
    id: str


class CreateResponse(RequestPart):
    model_config = with_example(
        model="default",
        input="Write and test a merge sort in Python",
        tools=[{"type": "shell", "environment": {"type": "container_auto"}}],
    )

    model: str | None = Field(None, max_length=200, description="Without one the default answers.")
    input: str | list[InputItem] | None = None
    instructions: str | None = None
    tools: list[Tool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = Field(None, ge=1)
    max_output_tokens: int | None = Field(None, ge=16)
    previous_response_id: str | None = None
    conversation: str | ConversationReference | None = None
    store: bool | None = None
    background: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: Metadata | None = None
    include: list[Include] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    context_management: list[ContextManagement] | None = Field(None, min_length=1, max_length=1)
    service_tier: Literal["auto", "default"] | None = None
    top_logprobs: Literal[0] | None = None
    prompt_cache_key: str | None = Field(None, max_length=1024)
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    safety_identifier: str | None = Field(None, max_length=64)
    user: str | None = None
    client_metadata: dict[str, Any] | None = Field(
        None, description="Of the program; nothing is done with it."
    )


class IdempotencyHeader(RequestPart):
    key: str | None = Field(
        None,
        alias="Idempotency-Key",
        max_length=255,
        description="The same key with the same body is the same response.",
    )


class ResponseQuery(RequestPart):
    model_config = {"extra": "ignore", "strict": False, "frozen": True}

    repeated: ClassVar[frozenset[str]] = frozenset({"include"})

    stream: bool = False
    starting_after: int | None = Field(None, description="Number of the last event that was seen.")
    include: list[Include] | None = None


class InputItemsQuery(ItemsQuery):
    pass


def echo_of(
    body: CreateResponse, tools: list[dict[str, Any]], found: list[dict[str, Any]]
) -> dict[str, Any]:
    """What was asked for, as every response of it says; `tools` with the containers they got,
    `found` those that the program's own search brought up."""
    text = body.text.model_dump(by_alias=True, exclude_none=True) if body.text else {}
    reasoning = body.reasoning.model_dump() if body.reasoning else {}
    choice = body.tool_choice
    return {
        "instructions": body.instructions,
        "tools": tools,
        "tool_choice": choice
        if isinstance(choice, str)
        else choice.model_dump()
        if choice is not None
        else "auto",
        "parallel_tool_calls": _given(body.parallel_tool_calls, other=True),
        "max_tool_calls": body.max_tool_calls,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "temperature": _given(body.temperature, other=1.0),
        "top_p": _given(body.top_p, other=1.0),
        "text": {"format": {"type": "text"}, "verbosity": "medium", **text},
        "reasoning": {"effort": None, "summary": None, **reasoning},
        "truncation": body.truncation or "disabled",
        "service_tier": body.service_tier or "auto",
        "top_logprobs": 0,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "prompt_cache_key": body.prompt_cache_key,
        "prompt_cache_retention": body.prompt_cache_retention,
        "safety_identifier": body.safety_identifier,
        **({"user": body.user} if body.user is not None else {}),
        "include": list(body.include or ()),
        "compaction": _compaction(body),
        "found": found,
        "sent_text": text or None,
        "given": sorted(name for name in body.model_fields_set if getattr(body, name) is not None),
    }


def _compaction(body: CreateResponse) -> dict[str, Any] | None:
    """How the conversation is kept short: fields of `agent.compaction.Compacting`."""
    is_all = is_triggered(body.input)
    if not is_all and not body.context_management:
        return None
    managed = body.context_management or [
        ContextManagement(type="compaction", compact_threshold=None)
    ]
    return {"threshold": managed[0].compact_threshold, "is_all": is_all}


def is_triggered(given: str | list[Any] | None) -> bool:
    return isinstance(given, list) and any(isinstance(one, CompactionTrigger) for one in given)


def _given(value: Any, *, other: Any) -> Any:
    return other if value is None else value
