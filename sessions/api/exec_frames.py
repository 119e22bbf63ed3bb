"""Text frames of a terminal for a program."""

from typing import Any

from pydantic import Field

from sessions.api.errors import ApiError
from sessions.api.execs import ExecOptions
from sessions.api.schema import RequestPart
from sessions.api.validation import parsed_json

MAX_FRAME_BYTES = 1024 * 1024


class StartTerminal(ExecOptions):
    type: str
    command: str | list[str] | None = Field(None, description="An interactive shell without one.")  # type: ignore[assignment]  # what others need is optional here
    columns: int = 80
    rows: int = 24
    detach: bool = Field(False, description="It goes on when the connection ends.")


class AttachTerminal(RequestPart):
    type: str
    exec_id: str
    offset: int | None = Field(None, ge=0, description="What was seen; all of the screen without.")


class ResizeTerminal(RequestPart):
    type: str
    columns: int
    rows: int


class SignalTerminal(RequestPart):
    type: str
    name: str


def parsed(text: str) -> tuple[str, dict[str, Any]]:
    """Raises: ApiError."""
    if len(text) > MAX_FRAME_BYTES:
        raise bad("The frame is too long.", "type")
    fields = parsed_json(text.encode("utf-8", "replace"))
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise bad("A text frame is a JSON object with a `type`.", "type")
    return fields["type"], fields


def bad(message: str, param: str) -> ApiError:
    """What was sent is refused, and the connection ends."""
    return ApiError(400, message, param=param, code="invalid_value")
