import html
import re

import pytest

from sessions.workspace.highlight import highlight_source
from sessions.workspace.rendering import Renderer


def text_of(rendered: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", rendered))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "\n\ndef f(x):\n    return '<b>' & x\n\n\n"),
        ("a.html", "<!doctype html>\n<script>alert('x')</script>"),
        ("a.unknown", "<script>\r\nx"),
        ("run", "#!/bin/sh\necho $HOME\n"),
        ("\udcff.py", "x = 1"),
    ],
)
def test_source_keeps_every_character_and_runs_nothing(name: str, text: str) -> None:
    rendered = highlight_source(text, name)
    assert text_of(rendered) == text.replace("\r\n", "\n")
    assert set(re.findall(r"<(\w+)", rendered)) <= {"span"}
    assert "style=" not in rendered


async def test_the_language_comes_from_the_name() -> None:
    rendered = await Renderer().render("source", "import os\n", name="a.py")
    assert rendered is not None
    assert '<span class="tok-kn">import</span>' in rendered


async def test_json_can_be_indented() -> None:
    rendered = await Renderer().render("formatted", '{"a":[1]}', name="a.json")
    assert rendered is not None
    assert text_of(rendered) == '{\n  "a": [\n    1\n  ]\n}'


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "1" * 10_000])
async def test_what_cannot_be_formatted_gives_nothing(text: str) -> None:
    assert await Renderer().render("formatted", text, name="a.json") is None


async def test_a_text_that_takes_too_long_is_given_up() -> None:
    assert await Renderer(timeout_s=0.01).render("source", "x = 1", name="a.py") is None


async def test_a_text_that_grows_too_much_is_given_up() -> None:
    text = "[" * 900 + ",".join(["1"] * 1000) + "]" * 900
    assert await Renderer().render("formatted", text, name="a.json") is None
