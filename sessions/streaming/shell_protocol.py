"""The wire format of a shell's websocket; its other half is static/js/session/shell_protocol.js.

A text frame is one JSON object with a `type`. A binary frame is a big-endian u64, the offset of its
first byte, and the bytes: what was typed from a client, what the shell printed to it.
"""

import base64
import json
import struct
from dataclasses import dataclass
from typing import Any, TypeAlias

from sessions.errors import InvalidInputError
from sessions.runtime.shell_ring import Start
from sessions.sandbox.base import TerminalSize
from sessions.services import shell_size, viewer_token
from sessions.streaming.protocol import MAX_SEQ, dump_json

HEAD = struct.Struct(">Q")
MAX_TEXT_BYTES = 4096
MAX_INPUT_BYTES = 64 * 1024
"""Of one frame; a longer paste comes in several."""


@dataclass(frozen=True, slots=True)
class Attach:
    """The first frame. `offset` is what the screen has already, None for an empty one; `viewer` a
    random name the page keeps over its reload; `is_new` false for a page that was cut off."""

    viewer: str
    offset: int | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Acked:
    """Everything before `offset` is on the client's screen."""

    offset: int


@dataclass(frozen=True, slots=True)
class Take:
    """Give this page the keyboard."""


@dataclass(frozen=True, slots=True)
class Resize:
    size: TerminalSize


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered at once: a page finds out that its connection is dead."""


@dataclass(frozen=True, slots=True)
class Typed:
    offset: int
    data: bytes


ClientFrame: TypeAlias = Attach | Acked | Take | Resize | Ping | Typed
_FIELDS = {
    "attach": {"viewer", "offset", "is_new"},
    "ack": {"offset"},
    "take": set(),
    "resize": {"columns", "rows"},
    "ping": set(),
}


def parse_client_frame(text: str | None, data: bytes | None) -> ClientFrame:
    """Raises: InvalidInputError for all but a well-formed frame."""
    if text is None:
        return _typed(data or b"")
    if len(text) > MAX_TEXT_BYTES:
        raise InvalidInputError("A text frame has at most 4 KiB.")
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("The frame is not JSON.") from error
    kind = frame.pop("type", None) if isinstance(frame, dict) else None
    if not isinstance(kind, str) or frame.keys() != _FIELDS.get(kind):
        raise InvalidInputError("The frame has no known type, or other fields than its type.")
    return _parse(kind, frame)


def _parse(kind: str, frame: dict[str, Any]) -> ClientFrame:
    match kind:
        case "attach":
            return _attach(**frame)
        case "ack":
            return Acked(_whole(frame["offset"], 0, MAX_SEQ))
        case "resize":
            return Resize(shell_size(frame["columns"], frame["rows"]))
        case "take":
            return Take()
    return Ping()


def _attach(viewer: object, offset: object, is_new: object) -> Attach:
    token = viewer_token(viewer)
    if not isinstance(is_new, bool):
        raise InvalidInputError("`is_new` is true or false.")
    return Attach(token, None if offset is None else _whole(offset, 0, MAX_SEQ), is_new)


def _typed(data: bytes) -> Typed:
    if not HEAD.size < len(data) <= HEAD.size + MAX_INPUT_BYTES:
        raise InvalidInputError("A binary frame is an offset and at most 64 KiB.")
    (offset,) = HEAD.unpack_from(data)
    return Typed(_whole(offset, 0, MAX_SEQ), data[HEAD.size :])


def _whole(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise InvalidInputError(f"A number is not a whole one from {least} to {most}.")
    return value


def output_frame(offset: int, data: bytes) -> bytes:
    return HEAD.pack(offset) + data


def text_frame(kind: str, **fields: Any) -> str:
    return dump_json({"type": kind, **fields})


def start_to_json(start: Start) -> dict[str, Any]:
    """`prelude` is to be written before what comes from `offset` on, in base64."""
    return {
        "offset": start.offset,
        "columns": start.size.columns,
        "rows": start.size.rows,
        "prelude": base64.b64encode(start.prelude).decode(),
    }
