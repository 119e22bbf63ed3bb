"""What a task names and nothing has made; what errors mean to a small model."""

import pytest

from sessions.providers.base import ToolCall, UserMessage
from sessions.providers.error_hints import hint_for
from sessions.providers.outstanding import outstanding_files

WRITE = ToolCall("c", "run_file", {"path": "a.py", "content": "open('b.csv')", "command": "x"})
PAGE = ToolCall("c", "run_file", {"path": "i.html", "content": "href='s.css'", "command": "x"})
SHELL = ToolCall("c", "shell", {"commands": ["touch c.txt"]})


@pytest.mark.parametrize(
    ("task", "calls", "missing"),
    [
        ("Write a.py that makes b.csv, and c.txt.", [WRITE], ["c.txt"]),
        ("Write a.py that makes b.csv, and c.txt.", [WRITE, SHELL], []),
        ("Make i.html that uses s.css.", [PAGE], ["s.css"]),
        ("Make out/b.csv.", [WRITE], []),
        ("Use version 1.5 of the thing, e.g. on www.example.com/x.html.", [], []),
        ("Say hello.", [], []),
        ("Add up.\n\nFiles uploaded with this message:\n- /workspace/in.csv", [], []),
    ],
)
def test_files_the_task_names_are_followed(
    task: str, calls: list[ToolCall], missing: list[str]
) -> None:
    assert outstanding_files([UserMessage(task), *calls]) == missing


def test_only_the_latest_message_counts() -> None:
    conversation = [UserMessage("Make a.txt."), UserMessage("Now make b.txt.")]
    assert outstanding_files(conversation) == ["b.txt"]


@pytest.mark.parametrize(
    ("errors", "word"),
    [
        ("FileNotFoundError: [Errno 2] No such file or directory: 'x.json'", "x.json"),
        ("NameError: name 'add' is not defined", "add must be"),
        ("NameError: name 'sys' is not defined. Did you forget to import 'sys'?", "import sys"),
        ("ValueError: invalid literal for int() with base 10: 'score'", "header line"),
        ("usage: a.py FILE", "arguments"),
        ("usage: a.py FILE\nEOFError", "input()"),
        ("ModuleNotFoundError: No module named 'numpy'", "standard library"),
        ("EOFError: EOF when reading a line", "input()"),
        ("/bin/sh: 2: 1:: not found", "no command"),
        ("NameError: name 'a' is not defined\nAssertionError", "A test failed"),
    ],
)
def test_the_last_known_error_is_explained(errors: str, word: str) -> None:
    assert word in hint_for(errors)


@pytest.mark.parametrize("errors", ["", "Something else", "{0} %s \\"])
def test_other_errors_are_left_to_the_model(errors: str) -> None:
    assert hint_for(errors) == ""
