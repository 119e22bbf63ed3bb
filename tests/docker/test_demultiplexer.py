"""Taking the engine's stream apart does not depend on how it was cut into chunks."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from sessions.sandbox.exec_stream import MAX_STDERR_BYTES, Demultiplexer

STDOUT, STDERR = 1, 2


def frame(kind: int, body: bytes) -> bytes:
    return struct.pack(">B3xI", kind, len(body)) + body


frames = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=40)))


@given(frames, st.lists(st.integers(min_value=1, max_value=30)))
def test_any_cut_gives_the_same_bytes(frames: list[tuple[int, bytes]], sizes: list[int]) -> None:
    wire = b"".join(frame(kind, body) for kind, body in frames)
    demux = Demultiplexer()
    output = b""
    for size in [*sizes, len(wire) + 1]:
        output += demux.feed(wire[:size])
        wire = wire[size:]
    assert output == b"".join(body for kind, body in frames if kind == STDOUT)
    assert demux.stderr == b"".join(body for kind, body in frames if kind == STDERR)


def test_half_a_frame_comes_out_at_once() -> None:
    demux = Demultiplexer()
    assert demux.feed(frame(STDOUT, b"abcdef")[:11]) == b"abc"
    assert demux.feed(b"def") == b"def"


def test_stderr_is_kept_only_up_to_its_limit() -> None:
    demux = Demultiplexer()
    for _ in range(100):
        assert demux.feed(frame(STDERR, bytes(1000))) == b""
    assert len(demux.stderr) == MAX_STDERR_BYTES


def test_an_unknown_kind_is_dropped() -> None:
    assert Demultiplexer().feed(frame(7, b"junk") + frame(STDOUT, b"kept")) == b"kept"
