"""Frames with wrong fields: what both mutators and seeds are made of.

Random bytes almost never get past a header. So an input is taken apart into frames, one of them is
bent, and all are put together again with right lengths.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from sessions.sandbox.guest import wire

NUMBERS = (0, 1, 2, 9, 65_536, 1 << 20, (1 << 20) + 1, wire.MAX_OFFSET, 1 << 63, (1 << 64) - 1)
IDENTS = (*range(20), 1 << 31)
VALUES: tuple[Any, ...] = (
    *NUMBERS, None, True, False, -1, 1 << 64, 10**400, 0.5, -1.5, 1e308, float("nan"),
    float("inf"), "", "x", "..", "/", "a/b", "\0", "\udc80", "\ud800", "x" * 300, [], {}, [[]],
    ["a", "file", 1, 1, 1, None], {"1": 0, "2": 0}, {"offset": 0, "limit": 9},
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    kind: int
    ident: int
    payload: bytes

    def encode(self) -> bytes:
        return wire.frame(self.kind, self.ident, self.payload)


def parse(data: bytes) -> tuple[list[Frame], bytes]:
    """The whole frames at the front, and what follows them."""
    frames, at = [], 0
    while len(data) - at >= wire.HEADER.size:
        length, kind, _flags, _reserved, ident = wire.HEADER.unpack_from(data, at)
        end = at + wire.HEADER.size + length
        if length > wire.MAX_PAYLOAD or end > len(data):
            break
        frames.append(Frame(kind, ident, data[at + wire.HEADER.size : end]))
        at = end
    return frames, data[at:]


def encode(frames: Sequence[Frame]) -> bytes:
    return b"".join(frame.encode() for frame in frames)


def json_frame(kind: int, ident: int, value: Any) -> Frame:
    return Frame(kind, ident, json.dumps(value).encode())


def position(kind: int, ident: int, stream: int, offset: int, data: bytes = b"") -> Frame:
    return Frame(kind, ident, wire.POSITION.pack(stream, offset) + data)


def mutated(frames: list[Frame], templates: Sequence[Frame], source: Random) -> list[Frame]:
    """One change: a frame more, fewer, moved, or bent."""
    frames = list(frames)
    choice = source.randrange(8)
    if choice <= 1 or not frames:
        frames.insert(source.randint(0, len(frames)), source.choice(templates))
        return frames
    at = source.randrange(len(frames))
    if choice == 2:
        del frames[at]
    elif choice == 3:
        frames.insert(source.randint(0, len(frames)), frames[at])
    elif choice == 4:
        other = source.randrange(len(frames))
        frames[at], frames[other] = frames[other], frames[at]
    else:
        frames[at] = bent(frames[at], templates, source)
    return frames


def bent(frame: Frame, templates: Sequence[Frame], source: Random) -> Frame:
    choice = source.randrange(6)
    if choice == 0:
        return replace(frame, kind=source.choice(templates).kind)
    if choice == 1:
        return replace(frame, ident=source.choice(IDENTS))
    if frame.payload[:1] == b"{":
        return replace(frame, payload=_bent_json(frame.payload, source))
    if len(frame.payload) >= wire.POSITION.size:
        return replace(frame, payload=_bent_position(frame.payload, source))
    return replace(frame, payload=source.randbytes(source.randrange(20)))


def _bent_json(payload: bytes, source: Random) -> bytes:
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError):
        return payload[: source.randrange(len(payload))]
    if not isinstance(fields, dict) or not fields:
        return json.dumps(source.choice(VALUES)).encode()
    name = source.choice(sorted(fields))
    if source.randrange(5) == 0:
        del fields[name]
    else:
        fields[name] = source.choice(VALUES)
    return json.dumps(fields).encode()


def _bent_position(payload: bytes, source: Random) -> bytes:
    stream, offset = wire.POSITION.unpack_from(payload)
    data = payload[wire.POSITION.size :]
    choice = source.randrange(4)
    if choice == 0:
        stream = source.randrange(6)
    elif choice == 1:
        offset = source.choice(NUMBERS)
    elif choice == 2:
        offset = max(0, offset + source.choice((-1, 1, len(data))))
    else:
        data = _bent_lines(data, source)
    return wire.POSITION.pack(stream, offset % (1 << 64)) + data


def _bent_lines(data: bytes, source: Random) -> bytes:
    """The data of a listing or a watch are lines of JSON: lists of entries, or of words."""
    try:
        entries = json.loads(data)
        at = source.randrange(len(entries))
        if isinstance(entries[at], list):
            entries[at][source.randrange(6)] = source.choice(VALUES)
        else:
            entries[at] = source.choice(VALUES)
    except (ValueError, TypeError, LookupError, RecursionError):
        return source.choice((b"", data + data, data[1:], data + b"\n", source.randbytes(9)))
    return json.dumps(entries).encode() + b"\n"
