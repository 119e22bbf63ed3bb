"""Frames and their fields on their own, each compared with a plainer way to read the same."""

import json
from collections.abc import Callable
from contextlib import suppress

from sessions.sandbox.connection import error_of, json_object
from sessions.sandbox.folder_watch import _event
from sessions.sandbox.guest import compact_json, wire
from sessions.sandbox.remote_exec import parse_ending
from sessions.sandbox.sandbox_files import _json_list, _listed
from tests.fuzz.frames import Frame, encode, json_frame, parse, position
from tests.fuzz.targets import host_end

TEMPLATES = (
    *host_end.TEMPLATES,
    Frame(200, 0, b"[1]"),
    json_frame(200, 0, [["a", *host_end.ENTRY]]),
    json_frame(200, 0, ["unwatchable", "w", "limit"]),
)
SEEDS = (*host_end.SEEDS, encode((position(wire.CREDIT, 1, 1, 5), *TEMPLATES[-2:])))


def run(data: bytes) -> None:
    """Raises: AssertionError, or whatever else came out and should not."""
    _decoder_agrees(data)
    for frame in parse(data)[0]:
        _refuses_or_reads(wire.parse_position, frame.payload)
        _refuses_or_reads(error_of, frame.payload)
        _refuses_or_reads(json_object, frame.payload)
        _refuses_or_reads(lambda payload: parse_ending(json_object(payload)), frame.payload)
        _refuses_or_reads(
            lambda payload: [_listed("f", fields) for fields in _json_list(payload)], frame.payload
        )
        _refuses_or_reads(_event, frame.payload)
        _json_agrees(frame.payload)


def _decoder_agrees(data: bytes) -> None:
    """However the bytes are cut, the same frames come out, up to the same mistake."""
    found = []
    for size in (1 + len(data), 1 + len(data) // 3, 7):
        decoder, frames, error = wire.FrameDecoder(), [], ""
        try:
            for at in range(0, len(data), size):
                frames += [Frame(*parts) for parts in decoder.feed(data[at : at + size])]
        except wire.WireError as broken:
            error = str(broken)
        found.append((frames, error) if not error else ([], error))
    assert found[0] == found[1] == found[2]
    if not found[0][1]:
        assert found[0][0] == parse(data)[0]


def _refuses_or_reads(read: Callable[[bytes], object], payload: bytes) -> None:
    with suppress(wire.WireError, KeyError):  # a missing field closes the channel just as well
        read(payload)


def _json_agrees(payload: bytes) -> None:
    try:
        value = compact_json.decode(payload)
    except ValueError:
        return
    assert repr(json.loads(payload)) == repr(value)
