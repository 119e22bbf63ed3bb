"""The items a conversation is made of, as they are sent, kept and given back.

Fields that are not named here are kept as they came: items go back and forth between programs and
models, and neither may lose what the other put in.
"""

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, GetJsonSchemaHandler, Tag
from pydantic_core import CoreSchema
from typing_extensions import override

from sessions.api.schema import without_null
from sessions.providers.patches import MAX_DIFF_CHARS
from sessions.responses.ids import item_id

MAX_CALL_ID_LENGTH = 64
MAX_OUTPUT_CHARS = 10_485_760
MAX_ENCRYPTED_CHARS = 20_971_520

Status = Literal["in_progress", "completed", "incomplete"]


ItemId = Annotated[str, Field(min_length=1, max_length=100)]


class ItemPart(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """What is given back always says its kind and, where it has one, its id."""
        made = handler(core_schema)
        if handler.mode == "serialization":
            schema = handler.resolve_ref_schema(made)
            properties = schema["properties"]
            sure = [name for name in ("type", "id") if name in properties]
            for name in sure:
                properties[name] = without_null(properties[name])
            schema["required"] = [*sure, *(n for n in schema.get("required", ()) if n not in sure)]
        return made


# What a message holds


class InputText(ItemPart):
    type: Literal["input_text"]
    text: str


class InputImage(ItemPart):
    type: Literal["input_image"]
    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high", "original"] = "auto"


class InputFile(ItemPart):
    type: Literal["input_file"]
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    file_data: str | None = Field(None, description="`data:<media type>;base64,…`")


class OutputText(ItemPart):
    type: Literal["output_text"]
    text: str
    annotations: list[dict[str, Any]] = []
    logprobs: list[dict[str, Any]] = []


class Refusal(ItemPart):
    type: Literal["refusal"]
    refusal: str


ContentPart = Annotated[
    InputText | InputImage | InputFile | OutputText | Refusal, Field(discriminator="type")
]


# The items


class Message(ItemPart):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[ContentPart]
    id: ItemId | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None


class FunctionCall(ItemPart):
    type: Literal["function_call"]
    call_id: str = Field(min_length=1, max_length=MAX_CALL_ID_LENGTH)
    namespace: str | None = None
    name: str
    arguments: str
    id: ItemId | None = None
    status: Status | None = None


class FunctionCallOutput(ItemPart):
    type: Literal["function_call_output"]
    call_id: str = Field(min_length=1, max_length=MAX_CALL_ID_LENGTH)
    output: str | list[ContentPart]
    id: ItemId | None = None
    status: Status | None = None


class ShellAction(ItemPart):
    commands: list[str]
    timeout_ms: int | None = None
    max_output_length: int | None = None


class ShellCall(ItemPart):
    type: Literal["shell_call"]
    call_id: str = Field(min_length=1, max_length=MAX_CALL_ID_LENGTH)
    action: ShellAction
    environment: dict[str, Any] | None = None
    id: ItemId | None = None
    status: Status | None = None


class ExitOutcome(ItemPart):
    type: Literal["exit"]
    exit_code: int


class TimeoutOutcome(ItemPart):
    type: Literal["timeout"]


class CommandOutput(ItemPart):
    stdout: str = Field(max_length=MAX_OUTPUT_CHARS)
    stderr: str = Field(max_length=MAX_OUTPUT_CHARS)
    outcome: Annotated[ExitOutcome | TimeoutOutcome, Field(discriminator="type")]


class ShellCallOutput(ItemPart):
    type: Literal["shell_call_output"]
    call_id: str = Field(min_length=1, max_length=MAX_CALL_ID_LENGTH)
    output: list[CommandOutput]
    max_output_length: int | None = None
    id: ItemId | None = None
    status: Status | None = None


class CodeInterpreterCall(ItemPart):
    type: Literal["code_interpreter_call"]
    id: ItemId
    container_id: str
    code: str | None
    outputs: list[dict[str, Any]] | None = None
    status: Literal["in_progress", "completed", "incomplete", "interpreting", "failed"]


class ChangeFile(ItemPart):
    type: Literal["create_file", "update_file"]
    path: str = Field(min_length=1)
    diff: str = Field(max_length=MAX_DIFF_CHARS)


class DeleteFile(ItemPart):
    type: Literal["delete_file"]
    path: str = Field(min_length=1)


class ApplyPatchCall(ItemPart):
    type: Literal["apply_patch_call"]
    call_id: str = Field(min_length=1, max_length=MAX_CALL_ID_LENGTH)
    operation: Annotated[ChangeFile | DeleteFile, Field(discriminator="type")]
    status: Literal["in_progress", "completed"]
    id: ItemId | None = None


class ApplyPatchCallOutput(ItemPart):
    type: Literal["apply_patch_call_output"]
    call_id: str = Field(min_length=1, max_length=MAX_CALL_ID_LENGTH)
    status: Literal["completed", "failed"]
    output: str | None = Field(None, max_length=MAX_OUTPUT_CHARS)
    id: ItemId | None = None


class CustomToolCall(ItemPart):
    type: Literal["custom_tool_call"]
    call_id: str = Field(min_length=1, max_length=MAX_CALL_ID_LENGTH)
    namespace: str | None = None
    name: str
    input: str
    id: ItemId | None = None


class CustomToolCallOutput(ItemPart):
    type: Literal["custom_tool_call_output"]
    call_id: str = Field(min_length=1, max_length=MAX_CALL_ID_LENGTH)
    output: str | list[ContentPart]
    id: ItemId | None = None


class ToolSearchCall(ItemPart):
    type: Literal["tool_search_call"]
    call_id: str | None = None
    execution: Literal["server", "client"] = "client"
    arguments: Any = None
    id: ItemId | None = None
    status: Status | None = None


class ToolSearchOutput(ItemPart):
    type: Literal["tool_search_output"]
    call_id: str | None = None
    execution: Literal["server", "client"] = "client"
    tools: list[dict[str, Any]]
    id: ItemId | None = None
    status: Status | None = None


class FileSearchCall(ItemPart):
    type: Literal["file_search_call"]
    id: ItemId
    queries: list[str]
    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"]
    results: list[dict[str, Any]] | None = None


class Reasoning(ItemPart):
    type: Literal["reasoning"]
    summary: list[dict[str, Any]]
    content: list[dict[str, Any]] | None = None
    encrypted_content: str | None = None
    id: ItemId | None = None
    status: Status | None = None


class Compaction(ItemPart):
    type: Literal["compaction"]
    encrypted_content: str = Field(max_length=MAX_ENCRYPTED_CHARS)
    id: ItemId | None = None


class CompactionTrigger(ItemPart):
    """The last of the input: the conversation is compacted, and nothing else is done."""

    type: Literal["compaction_trigger"]


class ItemReference(ItemPart):
    type: Literal["item_reference"] = "item_reference"
    id: str


def _kind(value: Any) -> str | None:
    """A message may leave its type out, and a reference as well."""
    fields = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    kind = fields.get("type")
    if kind is None:
        kind = "message" if "role" in fields else "item_reference" if "id" in fields else None
    return kind if isinstance(kind, str) else None


Item = Annotated[
    Annotated[Message, Tag("message")]
    | Annotated[FunctionCall, Tag("function_call")]
    | Annotated[FunctionCallOutput, Tag("function_call_output")]
    | Annotated[ShellCall, Tag("shell_call")]
    | Annotated[ShellCallOutput, Tag("shell_call_output")]
    | Annotated[CodeInterpreterCall, Tag("code_interpreter_call")]
    | Annotated[ApplyPatchCall, Tag("apply_patch_call")]
    | Annotated[ApplyPatchCallOutput, Tag("apply_patch_call_output")]
    | Annotated[CustomToolCall, Tag("custom_tool_call")]
    | Annotated[CustomToolCallOutput, Tag("custom_tool_call_output")]
    | Annotated[ToolSearchCall, Tag("tool_search_call")]
    | Annotated[ToolSearchOutput, Tag("tool_search_output")]
    | Annotated[FileSearchCall, Tag("file_search_call")]
    | Annotated[Reasoning, Tag("reasoning")]
    | Annotated[Compaction, Tag("compaction")]
    | Annotated[ItemReference, Tag("item_reference")],
    Discriminator(_kind),
]

_HAVE_STATUS = frozenset(
    {
        "message",
        "function_call",
        "function_call_output",
        "shell_call",
        "shell_call_output",
        "tool_search_call",
        "tool_search_output",
    }
)


def item_resource(item: ItemPart) -> dict[str, Any]:
    """The item as it is kept and given back: with an id, a status where its kind has one, and a
    message's text as a part."""
    fields: dict[str, Any] = item.model_dump(mode="json", exclude_unset=True)
    kind: str = fields.setdefault("type", getattr(item, "type", "message"))
    if not fields.get("id"):
        fields["id"] = item_id(kind, uuid.uuid4())
    if kind in _HAVE_STATUS and not fields.get("status"):
        fields["status"] = "completed"
    if isinstance(item, Message):
        fields["content"] = _parts(item)
    if isinstance(item, ShellCall):
        fields.setdefault("environment", None)
        action = fields["action"]
        fields["action"] = {"timeout_ms": None, "max_output_length": None, **action}
    if isinstance(item, ShellCallOutput):
        fields.setdefault("max_output_length", None)
    return fields


def _parts(message: Message) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        if message.role == "assistant":
            text = {"type": "output_text", "text": message.content}
            return [text | {"annotations": [], "logprobs": []}]
        return [{"type": "input_text", "text": message.content}]
    return [_part(part) for part in message.content]


def _part(part: ItemPart) -> dict[str, Any]:
    fields: dict[str, Any] = part.model_dump(mode="json", exclude_unset=True)
    if isinstance(part, OutputText):
        fields = {"annotations": [], "logprobs": []} | fields
    if isinstance(part, InputImage):
        fields = {"detail": "auto"} | fields
    return fields
