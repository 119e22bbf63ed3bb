"""What a block asks for, and that hostile names lead nowhere."""

import subprocess
from pathlib import Path

import pytest

from sessions.providers.fences import Block
from sessions.providers.markdown import file_name, tool_arguments


def arguments(info: str, content: str) -> dict[str, object]:
    found = tool_arguments(Block(info, content))
    assert found is not None
    assert found[0] == "run_file"
    return found[1]


def commands(info: str, content: str) -> list[str]:
    found = tool_arguments(Block(info, content))
    assert found is not None
    assert found[0] == "shell"
    return list(found[1]["commands"])


def test_a_named_python_block_is_saved_and_run() -> None:
    content = "# sort.py\nprint(1)\n"
    assert arguments("python", content) == {
        "path": "sort.py",
        "content": content,
        "command": "python3 sort.py",
    }


def test_a_shell_block_is_run_without_its_prompts() -> None:
    assert commands("bash", "ls -l\necho hi\n") == ["ls -l\necho hi"]
    assert commands("console", "$ echo hi\nhi\n$ pwd\n/workspace\n") == ["echo hi\npwd"]


@pytest.mark.parametrize(
    ("first_line", "name"),
    [
        ("# main.py", "main.py"),
        ("#main.py", "main.py"),
        ("# filename: src/main.py", "src/main.py"),
        ("# File: `main.py`", "main.py"),
        ("# /workspace/main.py", "main.py"),
        ("# ./main.py", "main.py"),
        ("// app.js", "app.js"),
        ("<!-- site/index.html -->", "site/index.html"),
        ("/* style.css */", "style.css"),
        ("-- schema.sql", "schema.sql"),
    ],
)
def test_names_are_read_from_comments(first_line: str, name: str) -> None:
    assert file_name(Block("", f"{first_line}\nx\n")) == name


def test_a_name_can_stand_below_the_interpreter_line() -> None:
    assert file_name(Block("python", "#!/usr/bin/env python3\n# main.py\n")) == "main.py"


@pytest.mark.parametrize(
    "info", ["python main.py", 'python title="main.py"', "python file=main.py"]
)
def test_a_name_can_stand_behind_the_fence(info: str) -> None:
    assert file_name(Block(info, "x\n")) == "main.py"


@pytest.mark.parametrize(
    "line",
    [
        "# ../../etc/passwd.txt",
        "# /etc/cron.py",
        "# a/../../b.py",
        "# a//b.py",
        "# .ssh/config.py",
        "# x;rm -rf y.py",
        "# $(reboot).py",
        "# -rf.py",
        "# a b.py",
        "# \u202eyp.x.py",
        "# This sorts a list.",
        f"# {'a' * 300}.py",
        "# x.py\0",
    ],
)
def test_names_that_lead_elsewhere_are_not_taken(line: str) -> None:
    assert file_name(Block("python", f"{line}\nx = 1\n")) is None


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("# run.sh", "bash run.sh"),
        ("// app.mjs", "node app.mjs"),
        ("// p.c", "gcc -O2 -Wall -o p p.c -lm && ./p"),
        ("<!-- a.html -->", "ls -l a.html"),
    ],
)
def test_the_ending_of_the_name_says_how_to_run_it(name: str, command: str) -> None:
    assert arguments("", f"{name}\nx\n")["command"] == command


def test_python_without_a_name_is_run_as_well() -> None:
    assert arguments("python", "print(1)\n")["path"] == "script.py"


@pytest.mark.parametrize(("info", "content"), [("", "a\n"), ("text", "a\n"), ("bash", " \n")])
def test_other_blocks_ask_for_nothing(info: str, content: str) -> None:
    assert tool_arguments(Block(info, content)) is None


def test_a_program_that_takes_arguments_is_compiled_only() -> None:
    found = arguments("python", "# add.py\nimport sys\nprint(sys.argv[1])\n")
    assert found["command"] == "python3 -m py_compile add.py"


def test_a_data_file_has_no_comment_and_is_not_run() -> None:
    found = arguments("python", "# data.csv\nname,score\nAnn,70\n")
    assert found == {
        "path": "data.csv",
        "content": "name,score\nAnn,70\n",
        "command": "ls -l data.csv",
    }


def test_a_program_named_after_the_file_it_makes_is_run_into_it() -> None:
    found = arguments("python", "# squares.txt\nfor i in range(3):\n    print(i * i)\n")
    assert found["path"] == "squares.py"
    assert found["command"] == "python3 squares.py > squares.txt && cat squares.txt"


def test_a_program_that_opens_the_file_itself_is_just_run() -> None:
    found = arguments("python", "# out.txt\nopen('out.txt', 'w').write('x')\n")
    assert (found["path"], found["command"]) == ("out.py", "python3 out.py")


def test_commands_below_a_program_are_run_in_its_place() -> None:
    found = arguments("python", "# todo.py\nprint(1)\n# try it\npython todo.py add x\n")
    assert found["content"] == "# todo.py\nprint(1)\n# try it\n"
    assert found["command"] == "set -e\npython3 todo.py add x"


def test_a_shell_block_about_a_program_does_not_overwrite_it() -> None:
    found = commands("bash", "# number.py\npython number.py sample.txt\n")
    assert found == ["# number.py\npython number.py sample.txt"]


def test_a_program_written_into_a_shell_block_is_saved() -> None:
    assert arguments("bash", "# number.py\nprint(1)\n")["path"] == "number.py"


@pytest.mark.parametrize("content", ["# average.txt\n", "# average.txt\n\n \n"])
def test_a_name_alone_makes_no_file(content: str) -> None:
    assert tool_arguments(Block("python", content)) is None


def saved(found: dict[str, object]) -> dict[str, str]:
    """Contents by path, in the order in which they are saved."""
    more = found.get("files", [])
    assert isinstance(more, list)
    return {str(file["path"]): str(file["content"]) for file in [*more, found]}


def test_several_files_of_a_block_are_saved_and_the_last_is_run() -> None:
    first = "# lib/add.py\ndef add(a, b):\n    return a + b\n"
    second = "# test_add.py\nfrom lib.add import add\nassert add(1, 2) == 3\n"
    found = arguments("python", first + second)
    assert saved(found) == {"lib/add.py": first, "test_add.py": second}
    assert found["command"] == "python3 test_add.py"


def test_files_of_data_in_one_block_are_saved_without_their_names() -> None:
    found = arguments("", "# a.txt\nx\nEND_OF_FILE\ntouch owned\n# b.txt\ny\n")
    assert saved(found) == {"a.txt": "x\nEND_OF_FILE\ntouch owned\n", "b.txt": "y\n"}


TESTS_BELOW = """\
# search.py
def search(values, value):
    return values.index(value)

# test_search.py
import unittest

class TestSearch(unittest.TestCase):
    def test_it(self):
        self.assertEqual(search([4, 5], 5), 1)

unittest.main()
"""


def test_the_import_that_tests_forgot_is_added(tmp_path: Path) -> None:
    found = arguments("python", TESTS_BELOW)
    for path, content in saved(found).items():
        (tmp_path / path).write_text(content)
    done = subprocess.run(
        ["sh", "-c", str(found["command"])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    tests = (tmp_path / "test_search.py").read_text()
    assert tests.splitlines()[:3] == [
        "# test_search.py",
        "from search import search",
        "import unittest",
    ]


@pytest.mark.parametrize(
    "content",
    [
        TESTS_BELOW.replace("import unittest", "import unittest\nfrom search import search"),
        "# a.py\ndef f():\n    return 1\n\n# b.py\nf = 2\nprint(f)\n",
        "# lib/a.py\ndef f():\n    return 1\n\n# b.py\nprint(f())\n",
        "# a.py\ndef f(:\n\n# b.py\nprint(f())\n",
        "# a.js\nfunction f() {}\n\n# b.js\nf()\n",
        "# stats.py\ndef total():\n    return 1\n\n# data.csv\nname,total\n",
        "# stats.py\ndef total():\n    return 1\n\n# data.json\n[total]\n",
    ],
)
def test_no_import_is_added_where_none_was_forgotten(content: str) -> None:
    everything = "".join(saved(arguments("python", content)).values())
    assert everything.count(" import ") == content.count(" import ")
