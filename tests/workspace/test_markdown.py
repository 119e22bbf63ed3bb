import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions.workspace.markdown import render_markdown

IMAGE_URL = "/files/image/?path="


def rendered(text: str, path: str = "docs/guide.md") -> str:
    return render_markdown(text, path=path, image_url=IMAGE_URL)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "[x](vbscript:alert(1))",
        "![x](javascript:alert(1))",
        '[x](https://a.example "onmouseover=alert(1)")',
        '```" onload=alert(1)\nx\n```',
        "<iframe src=https://a.example></iframe>",
        "<style>body{display:none}</style>",
        '<https://a.example/?"onclick=alert(1)>',
    ],
)
def test_nothing_that_runs_comes_through(text: str) -> None:
    html = rendered(text)
    assert not re.search(r"<(script|iframe|style|object|embed|form|svg)\b", html)
    assert not re.search(r"<[^>]*\son\w+=", html)
    assert not re.search(r"(href|src)=\"(?!https?:|mailto:|#file=|/files/image/)", html)


def test_no_image_of_another_host_is_asked_for() -> None:
    html = rendered("![plot](https://tracker.example/p.png) ![b](//tracker.example/b.png)")
    assert "<img" not in html
    assert '<a href="https://tracker.example/p.png"' in html


def test_links_and_images_beside_the_file_lead_into_the_workspace() -> None:
    html = rendered("[main](../src/my%20main.py#L3) ![plot](out/plöt.png)")
    assert 'data-open="src/my%20main.py"' in html
    assert f'src="{IMAGE_URL}docs/out/pl%C3%B6t.png"' in html


def test_a_relative_link_that_leads_out_stays_plain() -> None:
    html = rendered("[x](../../etc/passwd)")
    assert "data-open" not in html


def test_links_open_apart_and_tell_no_referrer() -> None:
    html = rendered("[x](https://a.example/)")
    assert 'target="_blank"' in html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_tables_and_fences_are_rendered() -> None:
    html = rendered("| a | b |\n|--:|---|\n| 1 | 2 |\n\n```python\nimport os\n```\n")
    assert '<th style="text-align:right">a</th>' in html
    assert '<span class="tok-kn">import</span>' in html


@settings(max_examples=60)
@given(st.text(alphabet="[]()!<>\"'`*_#|\n abc:/.\\%&;=-", max_size=120))
def test_any_markdown_renders_without_handlers_or_scripts(text: str) -> None:
    html = rendered(text)
    assert "<script" not in html
    assert not re.search(r"<[^>]*\son\w+=", html)
