"""Fenced blocks are found as CommonMark has them, and odd ones do no harm."""

import pytest

from sessions.providers.fences import Block, split


def blocks(text: str) -> list[Block]:
    return [part for part in split(text) if isinstance(part, Block)]


def prose(text: str) -> list[str]:
    return [part for part in split(text) if isinstance(part, str)]


def test_a_block_is_told_from_the_prose_around_it() -> None:
    text = "before\n```bash\nls\npwd\n```\nafter"
    assert blocks(text) == [Block("bash", "ls\npwd\n")]
    assert prose(text) == ["before", "after"]


def test_a_longer_fence_holds_shorter_ones() -> None:
    assert blocks("````md\n```bash\nls\n```\n````\n") == [Block("md", "```bash\nls\n```\n")]


def test_tildes_do_not_close_backticks() -> None:
    assert blocks("```\n~~~\n```\n~~~\na\n~~~\n") == [Block("", "~~~\n"), Block("", "a\n")]


def test_a_fence_with_words_behind_it_does_not_close() -> None:
    assert blocks("```py\n```js\n```") == [Block("py", "```js\n")]


def test_four_spaces_make_no_fence() -> None:
    assert blocks("    ```bash\n    ls\n    ```") == []
    assert blocks("   ```bash\nls\n   ```") == [Block("bash", "ls\n")]


def test_inline_code_is_no_fence() -> None:
    assert blocks("```bash ls ``` and so on\nmore") == []


def test_the_end_of_the_text_leaves_the_block_open() -> None:
    assert blocks("```bash\nls") == [Block("bash", "ls\n", is_closed=False)]


def test_windows_line_ends_are_line_ends() -> None:
    assert blocks("```bash\r\nls\r\n```\r\n") == [Block("bash", "ls\n")]


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\u2028", "\x85"])
def test_other_separators_stay_in_the_line(separator: str) -> None:
    assert blocks(f"```bash\nls{separator}```\n```") == [Block("bash", f"ls{separator}```\n")]


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("bash", "bash"),
        ("Python title=x", "python"),
        ("{.js}", "js"),
        ("", ""),
        ("c,linenos", "c"),
    ],
)
def test_the_language_is_the_first_word(info: str, language: str) -> None:
    assert Block(info, "").language == language


@pytest.mark.slow
def test_a_megabyte_of_fences_is_read_in_linear_time() -> None:
    assert len(blocks("```\n" * 250_000)) == 125_000
