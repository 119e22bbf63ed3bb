"""Messages of `/v1/chat/completions`, as programs send them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sessions.api.schema import RequestPart


class TextPart(RequestPart):
    type: Literal["text"]
    text: str


class RefusalPart(RequestPart):
    type: Literal["refusal"]
    refusal: str


class ImageUrl(RequestPart):
    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(RequestPart):
    type: Literal["image_url"]
    image_url: ImageUrl


class InputAudio(RequestPart):
    data: str
    format: Literal["wav", "mp3"]


class AudioPart(RequestPart):
    type: Literal["input_audio"]
    input_audio: InputAudio


class FileData(RequestPart):
    """The endpoint knows no file that is kept here, so that its content is needed."""

    file_data: str
    filename: str | None = None


class FilePart(RequestPart):
    type: Literal["file"]
    file: FileData


class InstructionMessage(RequestPart):
    role: Literal["system", "developer"]
    content: str | list[TextPart]
    name: str | None = Field(None, max_length=200)


class UserMessage(RequestPart):
    role: Literal["user"]
    content: (
        str
        | list[Annotated[TextPart | ImagePart | AudioPart | FilePart, Field(discriminator="type")]]
    )
    name: str | None = Field(None, max_length=200)


class CalledFunction(RequestPart):
    name: str = Field(max_length=200)
    arguments: str
    parsed_arguments: Any = Field(None, description="Of the client; nothing is done with it.")


class FunctionCall(RequestPart):
    id: str = Field(max_length=500)
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = Field(None, description="Of a stream; nothing is done with it.")


class CalledCustom(RequestPart):
    name: str = Field(max_length=200)
    input: str


class CustomCall(RequestPart):
    id: str = Field(max_length=500)
    type: Literal["custom"]
    custom: CalledCustom


class AudioReference(RequestPart):
    id: str


class AssistantMessage(RequestPart):
    """Also what came back as an answer, with all that endpoints add to it."""

    role: Literal["assistant"]
    content: str | list[Annotated[TextPart | RefusalPart, Field(discriminator="type")]] | None = (
        None
    )
    refusal: str | None = None
    tool_calls: list[FunctionCall | CustomCall] | None = Field(None, max_length=128)
    function_call: CalledFunction | None = None
    name: str | None = Field(None, max_length=200)
    audio: AudioReference | None = None
    annotations: list[dict[str, Any]] | None = None
    parsed: Any = Field(None, description="Of the client; nothing is done with it.")
    reasoning: str | None = None
    reasoning_content: str | None = None


class ToolMessage(RequestPart):
    role: Literal["tool"]
    content: str | list[TextPart]
    tool_call_id: str = Field(max_length=500)
    name: str | None = Field(None, max_length=200)


class FunctionMessage(RequestPart):
    """The older word for an answer of a tool."""

    role: Literal["function"]
    name: str = Field(max_length=200)
    content: str | None


Message = Annotated[
    InstructionMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage,
    Field(discriminator="role"),
]
