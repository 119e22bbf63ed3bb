"""What a program sends to ask for a response."""

from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, StringConstraints

from sessions.api.containers import ContainerOptions
from sessions.api.include import Include
from sessions.api.items import Item
from sessions.api.metadata import Metadata
from sessions.api.schema import PageQuery, RequestPart, Resource
from sessions.api.vector_stores import MAX_RESULTS, Filter, HybridWeights

MAX_TOOLS = 128
MAX_LOCAL_SKILLS = 200
MAX_VECTOR_STORES = 10
ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


# Tools


class AutoContainer(ContainerOptions):
    """That of the response gone on from, else a new one."""

    type: Literal["container_auto"]


class ContainerReference(RequestPart):
    type: Literal["container_reference"]
    container_id: str


class LocalSkill(RequestPart):
    name: str
    description: str
    path: str


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


class ToolSearch(RequestPart):
    """The caller looks for more of its tools."""

    type: Literal["tool_search"]
    execution: Literal["client"]
    description: str | None = None
    parameters: dict[str, Any] | None = None


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
    ShellTool | FunctionTool | CustomTool | ToolSearch | FileSearch, Field(discriminator="type")
]


class ShellChoice(RequestPart):
    type: Literal["shell"]


class FileSearchChoice(RequestPart):
    type: Literal["file_search"]


class FunctionChoice(RequestPart):
    type: Literal["function"]
    name: ToolName


class CustomChoice(RequestPart):
    type: Literal["custom"]
    name: ToolName


class AllowedTools(RequestPart):
    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[
        Annotated[
            ShellChoice | FileSearchChoice | FunctionChoice | CustomChoice,
            Field(discriminator="type"),
        ]
    ]


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
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class StreamOptions(RequestPart):
    include_obfuscation: bool = Field(False, description="Nothing is added either way.")


class ConversationReference(RequestPart):
    id: str


class CreateResponse(RequestPart):
    model: str | None = Field(None, max_length=200, description="Without one the default answers.")
    input: str | list[Item] | None = None
    instructions: str | None = None
    tools: list[Tool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: (
        Literal["none", "auto", "required"]
        | Annotated[
            ShellChoice | FileSearchChoice | FunctionChoice | CustomChoice | AllowedTools,
            Field(discriminator="type"),
        ]
        | None
    ) = None
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
    service_tier: Literal["auto", "default"] | None = None
    top_logprobs: Literal[0] | None = None
    prompt_cache_key: str | None = Field(None, max_length=1024)
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    safety_identifier: str | None = Field(None, max_length=64)
    user: str | None = None
    client_metadata: dict[str, Any] | None = Field(
        None, description="Of the program; nothing is done with it."
    )


class ResponseObject(Resource):
    """All fields are described in the documents of the API; `live_url` is where a person watches
    it."""

    model_config = {"extra": "allow"}

    id: str
    object: Literal["response"] = "response"
    status: str
    live_url: str | None


class ResponseQuery(RequestPart):
    model_config = {"extra": "ignore", "strict": False, "frozen": True}

    stream: bool = False
    starting_after: int | None = Field(None, description="Number of the last event that was seen.")


class InputItemsQuery(PageQuery):
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
        "found": found,
        "sent_text": text or None,
        "given": sorted(name for name in body.model_fields_set if getattr(body, name) is not None),
    }


def _given(value: Any, *, other: Any) -> Any:
    return other if value is None else value
