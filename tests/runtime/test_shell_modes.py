"""What a screen needs to begin in the middle of what a program printed."""

import pytest

from sessions.runtime.shell_modes import MAX_PENDING_BYTES, ModeTracker

FULL_SCREEN = b"\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[?25l\x1b[?1000;1006h\x1b[2;20r\x1b(0"
RESTORED = (
    b"\x1b[0m\x1b[?1049h\x1b[?1h\x1b[?25l\x1b[?1000h\x1b[?1006h\x1b[?2004h\x1b=\x1b(0\x1b[2;20r"
)


def after(*pieces: bytes) -> ModeTracker:
    tracker = ModeTracker()
    for piece in pieces:
        tracker.feed(piece)
    return tracker


def test_a_fresh_terminal_needs_only_default_colours() -> None:
    assert after(b"plain text\r\n\x1b[31mred").prelude() == b"\x1b[0m"


def test_modes_are_set_again() -> None:
    tracker = after(FULL_SCREEN)
    assert tracker.prelude() == RESTORED
    assert tracker.is_alternate


def test_wherever_the_bytes_were_cut() -> None:
    for cut in range(len(FULL_SCREEN) + 1):
        assert after(FULL_SCREEN[:cut], FULL_SCREEN[cut:]).prelude() == RESTORED, cut
    assert after(*(FULL_SCREEN[i : i + 1] for i in range(len(FULL_SCREEN)))).prelude() == RESTORED


@pytest.mark.parametrize(
    "undone",
    [
        b"\x1b[?1049l\x1b[?1l\x1b>\x1b[?2004l\x1b[?25h\x1b[?1000l\x1b[?1006l\x1b[r\x1b(B",
        b"\x1bc",
    ],
)
def test_what_was_undone_is_not(undone: bytes) -> None:
    tracker = after(FULL_SCREEN, undone)
    assert tracker.prelude() == b"\x1b[0m"
    assert not tracker.is_alternate


SEQUENCES = (
    b"\x1b",
    b"\x1b[",
    b"\x1b[38;2;1",
    b"\x1b(",
    b"\x1b]0;tit",
    b"\x1b]0;title\x1b",
    b"\x1bPq",
)
CHARACTERS = ("é".encode()[:1], "→".encode()[:2], "😀".encode()[:3])


@pytest.mark.parametrize("unfinished", [*SEQUENCES, *CHARACTERS])
def test_what_the_cut_went_through_begins_again(unfinished: bytes) -> None:
    assert after(b"text" + unfinished).prelude() == b"\x1b[0m" + unfinished
    assert after(*(bytes([byte]) for byte in b"text" + unfinished)).prelude().endswith(unfinished)


@pytest.mark.parametrize(
    "whole",
    [b"\x1b[0m", b"\x1b7", b"\x1b]0;title\x07", b"\x1b]0;title\x1b\\", "é→😀".encode(), b"\xff"],
)
def test_what_is_whole_does_not(whole: bytes) -> None:
    assert after(b"text" + whole).prelude() == b"\x1b[0m"


def test_a_long_string_is_skipped_to_its_end() -> None:
    tracker = after(b"\x1b]52;c;", *[b"A" * 1000] * 20)
    assert len(tracker.prelude()) <= MAX_PENDING_BYTES
    assert tracker.skip(b"AAAA") == 4
    assert tracker.skip(b"AAAA\x07text") == 5
    assert tracker.skip(b"AAAA\x1b\\text") == 4
    tracker.feed(b"AAAA\x07text\x1b[?25l")
    assert tracker.prelude() == b"\x1b[0m\x1b[?25l"
    assert tracker.skip(b"text") == 0


def test_unknown_modes_take_no_room() -> None:
    tracker = after(*(b"\x1b[?%dh" % number for number in range(3000, 60000)))
    assert tracker.prelude() == b"\x1b[0m"
