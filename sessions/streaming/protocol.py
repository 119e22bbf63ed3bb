"""The wire format of the websocket: what a client may send, and how events become frames.

Its other half is static/js/session/protocol.js. A text frame is one JSON object with a `type`.
A binary frame carries output: a big-endian u32, that many bytes of JSON
`{"outputs": [{"seq", "at", "call_id", "stream", "offset", "length"}]}`, then the pieces' bytes
joined in that order. Frames keep the order of the log.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sessions.errors import InvalidInputError, OutsideWorkspaceError
from sessions.events.types import (
    ContextCompacted,
    MessageDone,
    Output,
    SearchEnded,
    StepEnded,
    StoredEvent,
    ToolResult,
)
from sessions.runtime.folder_watches import FolderNews
from sessions.streaming.markdown import render_markdown
from sessions.workspace.paths import format_path, parse_path

CLOSE_BAD_FRAME = 4400
CLOSE_NOT_SIGNED_IN = 4401
CLOSE_NOT_PERMITTED = 4403
"""The API key lacks the scope."""
CLOSE_TOO_MANY = 4429
CLOSE_NOT_FOUND = 4404
CLOSE_FAILED = 1011
CLOSE_ELSEWHERE = 1012
"""Another process goes on with it: connect again."""

MAX_CLIENT_FRAME_BYTES = 64 * 1024
MAX_FRAME_BYTES = 256 * 1024
"""A frame is filled up to this; a single event that is larger makes a larger frame."""
MAX_SEQ = 2**53 - 1
"""The largest whole number every JSON reader keeps exactly."""
MAX_TOOL_TEXT_CHARS = 2000
MAX_PASSAGE_CHARS = 600
"""Of each passage that a search found; the request's page has all of it."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Send everything behind `after`; with `call_id`, only what belongs to that call."""

    after: int
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Ack:
    """Everything up to `seq` is on the client's screen."""

    seq: int


@dataclass(frozen=True, slots=True)
class WatchFolders:
    """Tell of changes in these folders from now on, and in no others."""

    folders: frozenset[str]


ClientFrame: TypeAlias = Follow | Ack | WatchFolders
_FIELDS = {
    "follow": {"type", "after"},
    "ack": {"type", "seq"},
    "watch": {"type", "folders"},
}
MAX_WATCHED_FOLDERS = 200


def parse_client_frame(text: str | None) -> ClientFrame:
    """Raises: InvalidInputError for all but a well-formed frame; `None` is a binary one."""
    if text is None or len(text) > MAX_CLIENT_FRAME_BYTES:
        raise InvalidInputError("Only text frames of at most 64 KiB are accepted.")
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("The frame is not JSON.") from error
    if not isinstance(frame, dict):
        raise InvalidInputError("The frame is not an object.")
    kind = frame.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise InvalidInputError("The frame has no known type.")
    allowed = _FIELDS[kind] | ({"call_id"} if kind == "follow" else set())
    if not _FIELDS[kind] <= frame.keys() <= allowed:
        raise InvalidInputError("The frame has other fields than its type.")
    if kind == "ack":
        return Ack(_seq(frame["seq"]))
    if kind == "watch":
        return WatchFolders(_folders(frame["folders"]))
    call_id = frame.get("call_id", "")
    if not isinstance(call_id, str) or len(call_id) > 200:
        raise InvalidInputError("`call_id` is not a short string.")
    return Follow(_seq(frame["after"]), call_id)


def _folders(value: object) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > MAX_WATCHED_FOLDERS:
        raise InvalidInputError(f"`folders` is a list of up to {MAX_WATCHED_FOLDERS}.")
    if not all(isinstance(query, str) for query in value):
        raise InvalidInputError("A folder is a percent-encoded path.")
    try:
        return frozenset(map(parse_path, value))
    except OutsideWorkspaceError as error:
        raise InvalidInputError(error.message) from error


def _seq(value: object) -> int:
    # True and 1.0 equal 1 in Python, but are not sequence numbers.
    if type(value) is not int or not 0 <= value <= MAX_SEQ:
        raise InvalidInputError("A sequence number is a whole number from 0 up.")
    return value


@dataclass(frozen=True, slots=True)
class Frame:
    """One websocket frame and the number of the last event in it."""

    last_seq: int
    content: str | bytes
    size: int = field(init=False)
    """Bytes on the wire, without framing."""

    def __post_init__(self) -> None:
        raw = self.content.encode() if isinstance(self.content, str) else self.content
        object.__setattr__(self, "size", len(raw))


def dump_json(value: object) -> str:
    """Compact JSON that stays valid UTF-8 whatever text a model or a user sent."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


def encode_batch(events: Sequence[StoredEvent]) -> Iterator[Frame]:
    """The events as frames, in order, neighbours of a kind joined up to `MAX_FRAME_BYTES`."""
    outputs: list[tuple[StoredEvent, Output]] = []
    texts: list[str] = []
    size = last_seq = 0
    for event in events:
        body = event.body
        output = body if isinstance(body, Output) else None
        text = "" if output else dump_json(event_to_json(event))
        length = len(output.content) + 120 if output else len(text)
        is_other_kind = bool(texts if output else outputs)
        if (outputs or texts) and (is_other_kind or size + length > MAX_FRAME_BYTES):
            yield _join(outputs, texts, last_seq)
            outputs, texts, size = [], [], 0
        if output:
            outputs.append((event, output))
        else:
            texts.append(text)
        size += length
        last_seq = event.seq
    if outputs or texts:
        yield _join(outputs, texts, last_seq)


def _join(outputs: list[tuple[StoredEvent, Output]], texts: list[str], last_seq: int) -> Frame:
    if texts:
        return Frame(last_seq, '{"type":"events","events":[' + ",".join(texts) + "]}")
    header = dump_json(
        {
            "outputs": [
                {
                    "seq": event.seq,
                    "at": event.created_at_ms,
                    "call_id": body.call_id,
                    "stream": body.stream,
                    "offset": body.offset,
                    "length": len(body.content),
                }
                for event, body in outputs
            ]
        }
    ).encode()
    pieces = [struct.pack(">I", len(header)), header, *(body.content for _, body in outputs)]
    return Frame(last_seq, b"".join(pieces))


def event_to_json(event: StoredEvent) -> dict[str, Any]:
    """The event as a browser needs it: rendered, and without what only the model reads."""
    body = event.body
    fields = body.to_payload()
    if isinstance(body, MessageDone) and body.kind == "text":
        fields["html"] = render_markdown(body.text)
    elif isinstance(body, StepEnded):
        del fields["items"]
    elif isinstance(body, ContextCompacted):
        del fields["content"]
    elif isinstance(body, ToolResult):
        del fields["item"]
        text = body.item.get("text")
        fields["text"] = text[:MAX_TOOL_TEXT_CHARS] if isinstance(text, str) else ""
        if images := body.item.get("images"):
            fields["images"] = images
    elif isinstance(body, SearchEnded):
        fields["results"] = [_shown_result(result) for result in body.results]
    return {**fields, "seq": event.seq, "at": event.created_at_ms, "type": body.type}


def _shown_result(result: dict[str, Any]) -> dict[str, Any]:
    text = str(result["text"])
    is_cut = len(text) > MAX_PASSAGE_CHARS
    shown = text[:MAX_PASSAGE_CHARS] + "…" if is_cut else text
    return {"filename": result["filename"], "score": result["score"], "text": shown}


def folders_to_json(news: FolderNews) -> dict[str, Any]:
    """`all`: any of the folders may have changed. Not `watched`: changes may go untold."""
    return {
        "type": "folders",
        "changed": sorted(map(format_path, news.changed)),
        "all": news.is_all,
        "watched": news.is_watched,
    }
