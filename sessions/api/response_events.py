"""The events of a stream, for the document. What makes them is `sessions.responses`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from sessions.api import given
from sessions.api.items import CommandOutput, OutputText, Refusal
from sessions.api.response_object import ResponseObject


class StreamEvent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sequence_number: int = Field(ge=0, description="From 0; `starting_after` takes it.")


class Whole(StreamEvent):
    """How the response stands."""

    type: Literal[
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    response: ResponseObject


class OutputEvent(StreamEvent):
    output_index: int = Field(ge=0, description="Place of the item in `output`.")


class OutputItem(OutputEvent):
    type: Literal["response.output_item.added", "response.output_item.done"]
    item: given.Item


class ItemEvent(OutputEvent):
    item_id: str


class ContentEvent(ItemEvent):
    content_index: int = Field(ge=0)


class ContentPart(ContentEvent):
    type: Literal["response.content_part.added", "response.content_part.done"]
    part: Annotated[OutputText | Refusal, Field(discriminator="type")]


class TextDelta(ContentEvent):
    type: Literal["response.output_text.delta"]
    delta: str
    logprobs: list[dict[str, Any]]


class TextDone(ContentEvent):
    type: Literal["response.output_text.done"]
    text: str
    logprobs: list[dict[str, Any]]


class AnnotationAdded(ContentEvent):
    type: Literal["response.output_text.annotation.added"]
    annotation_index: int = Field(ge=0)
    annotation: dict[str, Any]


class SummaryEvent(ItemEvent):
    summary_index: int = Field(ge=0)


class SummaryText(BaseModel):
    type: Literal["summary_text"]
    text: str


class SummaryPart(SummaryEvent):
    type: Literal["response.reasoning_summary_part.added", "response.reasoning_summary_part.done"]
    part: SummaryText


class SummaryDelta(SummaryEvent):
    type: Literal["response.reasoning_summary_text.delta"]
    delta: str


class SummaryDone(SummaryEvent):
    type: Literal["response.reasoning_summary_text.done"]
    text: str


class ArgumentsDelta(ItemEvent):
    type: Literal["response.function_call_arguments.delta"]
    delta: str


class ArgumentsDone(ItemEvent):
    type: Literal["response.function_call_arguments.done"]
    name: str
    arguments: str


class CustomInputDelta(ItemEvent):
    type: Literal["response.custom_tool_call_input.delta"]
    delta: str


class CustomInputDone(ItemEvent):
    type: Literal["response.custom_tool_call_input.done"]
    input: str


class CommandEvent(OutputEvent):
    command_index: int = Field(ge=0, description="Place of the command in its call.")


class Command(CommandEvent):
    type: Literal["response.shell_call_command.added", "response.shell_call_command.done"]
    command: str


class CommandDelta(CommandEvent):
    type: Literal["response.shell_call_command.delta"]
    delta: str


class Printed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    stdout: str = ""
    stderr: str = ""


class CommandPrinted(CommandEvent):
    """What a command prints, while it does."""

    type: Literal["response.shell_call_output_content.delta"]
    item_id: str
    delta: Printed


class CommandEnded(CommandEvent):
    type: Literal["response.shell_call_output_content.done"]
    item_id: str
    output: list[CommandOutput]


class BrokenOff(StreamEvent):
    """Instead of the end, where what came of the response could not be told."""

    type: Literal["error"]
    code: str | None
    message: str
    param: str | None


class OtherEvent(StreamEvent):
    """Of a kind that a program does not know, and should pass over."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = Field(pattern=r"^response\.")


class ResponseEvent(
    RootModel[
        Whole
        | OutputItem
        | ContentPart
        | TextDelta
        | TextDone
        | AnnotationAdded
        | SummaryPart
        | SummaryDelta
        | SummaryDone
        | ArgumentsDelta
        | ArgumentsDone
        | CustomInputDelta
        | CustomInputDone
        | Command
        | CommandDelta
        | CommandPrinted
        | CommandEnded
        | BrokenOff
        | OtherEvent
    ]
):
    """Each event of a stream has its `type` as the name and this as the data."""
