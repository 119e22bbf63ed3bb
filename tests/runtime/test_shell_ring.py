"""The end of a shell's output, by offsets."""

from sessions.runtime.shell_ring import RING_BYTES, ShellRing
from sessions.sandbox.base import TerminalSize

SIZE = TerminalSize(80, 24)


def everything(ring: ShellRing, offset: int) -> bytes:
    found = b""
    while piece := ring.read(offset + len(found), 10_000):
        found += piece
    return found


def test_small_output_is_kept_whole() -> None:
    ring = ShellRing(SIZE)
    for i in range(1000):
        ring.append(b"%03d" % i)
    assert everything(ring, 0) == b"".join(b"%03d" % i for i in range(1000))
    assert everything(ring, 5) == everything(ring, 0)[5:]
    assert ring.begin().offset == 0
    assert ring.begin().prelude == b""


def test_at_most_a_ring_is_kept() -> None:
    ring = ShellRing(SIZE)
    written = bytes(range(256)) * 4
    for _ in range(5 * RING_BYTES // len(written)):
        ring.append(written)
    ring.append(b"x" * 3 * RING_BYTES)
    assert ring.end == 8 * RING_BYTES
    assert RING_BYTES - 256 * 1024 < ring.end - ring.start <= RING_BYTES
    assert everything(ring, ring.start) == b"x" * (ring.end - ring.start)


def test_a_byte_at_a_time_takes_no_piece_each() -> None:
    ring = ShellRing(SIZE)
    for _ in range(100_000):
        ring.append(b"x")
    assert len(ring._pieces) < 100_000 / 1000


def test_a_screen_begins_with_the_modes_of_what_is_gone() -> None:
    ring = ShellRing(SIZE)
    ring.append(b"\x1b[?1049h\x1b[?25l")
    ring.append(b"y" * 2 * RING_BYTES)
    start = ring.begin()
    assert start.offset == ring.start > 0
    assert start.prelude == b"\x1b[0m\x1b[?1049h\x1b[?25l"
    assert ring.is_alternate
    ring.append(b"\x1b[?1049l")
    assert not ring.is_alternate


def test_pieces_end_where_the_size_changes() -> None:
    ring = ShellRing(SIZE)
    ring.append(b"before")
    ring.resize(TerminalSize(100, 30))
    ring.append(b"after")
    assert ring.read(0, 100) == b"before"
    assert ring.read(6, 100) == b"after"
    assert ring.size_at(3) == SIZE
    assert ring.size_at(6) == ring.size == TerminalSize(100, 30)
    ring.append(b"z" * 2 * RING_BYTES)
    assert ring.begin().size == TerminalSize(100, 30)


def test_sizes_take_no_room_without_output() -> None:
    ring = ShellRing(SIZE)
    ring.append(b"x")
    for i in range(10_000):
        ring.resize(TerminalSize(80 + i % 7, 24))
    assert len(ring._sizes) < 3


def test_missing_bytes_leave_a_ring_that_begins_behind_them() -> None:
    ring = ShellRing(SIZE)
    ring.append(b"\x1b[?2004habc\x1b[3")
    ring.skip_to(500)
    ring.append(b"text")
    start = ring.begin()
    assert (start.offset, start.prelude) == (500, b"\x1b[0m\x1b[?2004h")
    assert ring.read(500, 10) == b"text"
