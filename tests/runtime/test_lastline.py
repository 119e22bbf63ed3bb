import pytest

from sessions.events.types import CallStarted, MessageDone, Output
from sessions.runtime.lastline import LastLine


def _of(*chunks: bytes) -> str | None:
    line = LastLine()
    for chunk in chunks:
        line.add(Output("c", "stdout", 0, chunk))
    return line.take()


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([b"one\ntwo\n"], "two"),
        ([b"10%\r50%\r100%"], "100%"),
        ([b"caf\xc3", b"\xa9\n"], "café"),
        ([b"\x1b[31mred\x1b[0m\x1b]0;title\x07\n"], "red"),
        ([b"\x07\x07\n"], None),
        (["\u202egnp.exe\n".encode()], "gnp.exe"),
        ([b"x" * 5000], "x" * 200),
    ],
)
def test_the_last_line_is_plain_text(chunks: list[bytes], expected: str | None) -> None:
    assert _of(*chunks) == expected


def test_it_is_given_out_once() -> None:
    line = LastLine()
    line.add(Output("c", "stdout", 0, b"hello\n"))
    assert line.take() == "hello"
    assert line.take() is None


def test_what_came_last_wins() -> None:
    line = LastLine()
    line.add(Output("c", "stdout", 0, b"out\n"))
    line.add(CallStarted("d", "d", 0, "shell", "ls -l", 1))
    assert line.take() == "$ ls -l"
    line.add(MessageDone("m", "text", "All\ndone."))
    assert line.take() == "done."
