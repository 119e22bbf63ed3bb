"""What a program sends to `/v1/chat/completions`."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from sessions.api.chat_messages import Message
from sessions.api.metadata import Metadata
from sessions.api.responses import FreeText, JsonObjectFormat, TextFormat, ToolName
from sessions.api.schema import Identified, PageQuery, RequestPart

MAX_MESSAGES = 5000
MAX_CHOICES = 8
StopText = Annotated[str, StringConstraints(max_length=1000)]


class FunctionDeclaration(RequestPart):
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(RequestPart):
    type: Literal["function"]
    function: FunctionDeclaration


class GrammarText(RequestPart):
    syntax: Literal["lark", "regex"]
    definition: str


class GrammarFormat(RequestPart):
    type: Literal["grammar"]
    grammar: GrammarText


class CustomDeclaration(RequestPart):
    name: ToolName
    description: str | None = None
    format: Annotated[FreeText | GrammarFormat, Field(discriminator="type")] | None = None


class CustomTool(RequestPart):
    type: Literal["custom"]
    custom: CustomDeclaration


class Named(RequestPart):
    name: ToolName


class FunctionChoice(RequestPart):
    type: Literal["function"]
    function: Named


class CustomChoice(RequestPart):
    type: Literal["custom"]
    custom: Named


class AllowedToolNames(RequestPart):
    mode: Literal["auto", "required"]
    tools: list[Annotated[FunctionChoice | CustomChoice, Field(discriminator="type")]]


class AllowedTools(RequestPart):
    type: Literal["allowed_tools"]
    allowed_tools: AllowedToolNames


class SchemaOfAnswer(RequestPart):
    name: ToolName
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(RequestPart):
    type: Literal["json_schema"]
    json_schema: SchemaOfAnswer


class StreamOptions(RequestPart):
    include_usage: bool | None = None
    include_obfuscation: bool | None = Field(None, description="Nothing is added either way.")


class AudioOptions(RequestPart):
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]
    voice: str | dict[str, Any]


class Prediction(RequestPart):
    type: Literal["content"]
    content: str | list[dict[str, Any]]


class CreateChatCompletion(RequestPart):
    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES)
    model: str | None = Field(None, max_length=200, description="Without one the default answers.")
    audio: AudioOptions | None = None
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    function_call: Literal["none", "auto"] | Named | None = None
    functions: list[FunctionDeclaration] | None = Field(None, min_length=1, max_length=128)
    logit_bias: dict[str, float] | None = Field(None, max_length=1024)
    logprobs: bool | None = None
    max_completion_tokens: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    metadata: Metadata | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    parallel_tool_calls: bool | None = None
    prediction: Prediction | None = None
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    prompt_cache_key: str | None = Field(None, max_length=1024)
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    reasoning_effort: (
        Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None
    ) = None
    response_format: (
        Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]
        | None
    ) = None
    safety_identifier: str | None = Field(None, max_length=64)
    seed: int | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    stop: StopText | Annotated[list[StopText], Field(max_length=4)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    tool_choice: (
        Literal["none", "auto", "required"]
        | Annotated[FunctionChoice | CustomChoice | AllowedTools, Field(discriminator="type")]
        | None
    ) = None
    tools: list[Annotated[FunctionTool | CustomTool, Field(discriminator="type")]] | None = Field(
        None, max_length=128
    )
    top_logprobs: int | None = Field(None, ge=0, le=20)
    top_p: float | None = Field(None, ge=0, le=1)
    user: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: dict[str, Any] | None = None


class UpdateChatCompletion(RequestPart):
    metadata: Metadata | None


class ChatCompletionChunk(Identified):
    """A piece of a stream; all fields are described in the documents of the API."""

    model_config = {"extra": "allow"}

    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class ChatCompletionObject(Identified):
    """All fields are described in the documents of the API."""

    model_config = {"extra": "allow"}

    object: Literal["chat.completion"] = "chat.completion"


class ChatListQuery(PageQuery):
    model: str | None = None
    order: Literal["asc", "desc"] = "asc"


class ChatMessagesQuery(PageQuery):
    order: Literal["asc", "desc"] = "asc"
