"""What a model writes becomes HTML that can do nothing."""

import sys
from types import FrameType
from typing import Any

import pytest

from sessions.streaming.markdown import MAX_RENDERED_CHARS, render_markdown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "![x](https://evil.example/a.png)",
        "![x](javascript:alert(1))",
        '<svg onload="alert(1)">',
        '<a href="/sign-out/" onclick="x()">x</a>',
        "<style>*{display:none}</style>",
        "<iframe src=//evil.example></iframe>",
        "```html\n<script>alert(1)</script>\n```",
        '![a](https://evil.example/"onmouseover="alert(1))',
        "<https://evil.example/?<script>>",
    ],
)
def test_hostile_text_makes_nothing_that_runs_or_loads(text: str) -> None:
    html = render_markdown(text).lower()
    for bad in ("<script", "<img", "<svg", "<iframe", "<style", 'href="javascript', 'href="data'):
        assert bad not in html
    assert ' onmouseover="' not in html
    assert '<a href="/' not in html


def test_links_open_elsewhere_and_tell_nothing() -> None:
    html = render_markdown("[site](https://example.org)")
    assert 'href="https://example.org"' in html
    assert 'rel="noopener noreferrer"' in html
    assert 'target="_blank"' in html


def test_links_into_our_own_pages_lose_their_address() -> None:
    assert "href" not in render_markdown(
        "[file](result.txt) [out](/sign-out/) [x](//evil.example)"
    )


def test_image_is_shown_as_a_link() -> None:
    html = render_markdown("![chart](https://example.org/a.png)")
    assert 'href="https://example.org/a.png"' in html
    assert ">chart</a>" in html


def test_ordinary_markdown_is_rendered() -> None:
    html = render_markdown(
        "# T\n\n- a\n- b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```python\n1 < 2\n```"
    )
    for part in ("<h1>T</h1>", "<li>a</li>", "<td>1</td>", "1 &lt; 2", "language-python"):
        assert part in html


def test_too_long_text_is_left_to_be_shown_plain() -> None:
    assert render_markdown("x" * (MAX_RENDERED_CHARS + 1)) == ""


def lines_run_for(text: str) -> int:
    """How many lines of Python it takes to render a text that is not known yet."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        render_markdown.__wrapped__(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("piece", ["[", ">", "*a ", "`", "![](", "a|", "~~a*_", "<", "- "])
def test_text_made_to_be_slow_is_not(piece: str) -> None:
    render_markdown(piece * 10 + "`")  # what is made at the first use
    small, large = (lines_run_for(piece * size + "`") for size in (200, 400))
    assert 0 < large < 2.5 * small, "four times as many would be the square"


@pytest.mark.parametrize("text", ["[" * 50_000, ">" * 50_000, "*a " * 20_000, "`" * 50_001])
@pytest.mark.slow
def test_long_text_of_marks_alone_is_rendered(text: str) -> None:
    assert render_markdown(text)
