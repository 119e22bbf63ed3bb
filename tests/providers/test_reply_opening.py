"""What a small model's reply begins with, told from the conversation."""

from collections.abc import Sequence

import pytest

from sessions.providers.base import CommandResult, Item, ToolCall, ToolResultItem, UserMessage
from sessions.providers.reply_opening import MAX_FORCED_TRIES, opening


def ran(
    path: str, *, code: int = 0, stdout: str = "", content: str = "", command: str = ""
) -> Sequence[Item]:
    command = command or f"python3 {path}"
    result = CommandResult(command, stdout, "", {"kind": "exit", "exit_code": code})
    arguments = {"path": path, "content": content, "command": command}
    return ToolCall(path, "run_file", arguments), ToolResultItem(path, "run_file", [result])


def told(command: str, *, code: int = 0, stderr: str = "") -> Sequence[Item]:
    result = CommandResult(command, "", stderr, {"kind": "exit", "exit_code": code})
    call = ToolCall("sh", "shell", {"commands": [command]})
    return call, ToolResultItem("sh", "shell", [result])


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("Write and test a quick sort in Python", "```python\n#"),
        ("Write quick.py with a quick sort", "```python\n# quick.py\n"),
        ("Create out.csv and write its sum to sum.txt.", "```python\n# main.py\n"),
        ("Make a page in index.html with style.css", ""),
        ("Write a haiku", ""),
        ("What does quick.py do?", ""),
        ("hello", ""),
        ("Please write a quick sort in Python", "```python\n#"),
        ("Look at the data first. Then create sum.txt.", ""),
        ("Read in.csv, then create sum.txt.", ""),
        ("Sort it, then create sum.txt", "```python\n# main.py\n"),
        ("Thanks, that Python code is great!", ""),
        ("What does this Python code do?", ""),
        ("Explain how to write tests in Python", ""),
        ("Why does merge.py generate an error?", ""),
        ("Delete main.py, I will write it myself", ""),
        ("The Python program I write in main.py is slow", ""),
        ("", ""),
    ],
)
def test_a_task_tells_how_its_first_reply_begins(task: str, text: str) -> None:
    assert opening([UserMessage(task)]).text == text


def test_a_file_that_failed_is_written_anew() -> None:
    failed = opening([UserMessage("Write a.py"), *ran("a.py", code=1)])
    assert failed.text == "```python\n# a.py\n"


def test_a_command_that_failed_in_a_file_leads_to_that_file() -> None:
    trace = (
        "Traceback (most recent call last):\n"
        '  File "/workspace/a.py", line 3, in <module>\n'
        '  File "/workspace/b/c.py", line 9, in f\n'
        '  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode\n'
    )
    task = UserMessage("Write a.py")
    made = [*ran("b/c.py"), *ran("a.py")]
    failed = opening([task, *made, *told("python3 a.py", code=1, stderr=trace)])
    assert failed.text == "```python\n# b/c.py\n"
    elsewhere = opening([task, *told("python3 a.py", code=1, stderr=trace.replace("work", "x"))])
    assert elsewhere.text == ""


def test_it_is_not_forced_on_for_ever() -> None:
    failures = [item for _ in range(MAX_FORCED_TRIES + 1) for item in ran("a.py", code=1)]
    assert opening([UserMessage("Write a.py"), *failures]).text == ""


def test_a_program_that_takes_arguments_is_tried_in_a_shell() -> None:
    compiled = ran("a.py", command="python3 -m py_compile a.py")
    assert opening([UserMessage("Write a.py"), *compiled]).text == "```bash\n"


def test_a_program_with_commands_is_tried_with_the_first_the_task_names() -> None:
    task = UserMessage("Write a.py: `python3 a.py add TEXT` adds, `python3 a.py list` lists.")
    compiled = ran("a.py", command="python3 -m py_compile a.py")
    assert opening([task, *compiled]).text == "```bash\npython3 a.py add"


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ("b.py", "```python\n# b.py\n"),
        ("b.txt", "```python\n# make_b.py\n"),
        ("b.html", ""),
    ],
)
def test_what_is_missing_is_made_next(missing: str, text: str) -> None:
    made = opening([UserMessage(f"Write a.py and {missing}"), *ran("a.py")])
    assert (made.text, made.is_closing) == (text, False)


def test_when_all_is_made_the_turn_is_closed() -> None:
    assert opening([UserMessage("Write a.py"), *ran("a.py")]).is_closing
    by_name = opening([UserMessage("Write a quick sort in Python"), *ran("any.py")])
    assert by_name.is_closing


def test_a_program_that_speaks_of_failure_is_not_done() -> None:
    failed = ran("a.py", stdout="Test failed: expected 3")
    assert not opening([UserMessage("Write a.py"), *failed]).is_closing


def test_an_open_task_is_not_closed_for_the_model() -> None:
    assert not opening([UserMessage("Look around"), *told("ls")]).is_closing


def test_only_the_latest_message_counts() -> None:
    conversation = [UserMessage("Write a.py"), *ran("a.py"), UserMessage("What did you do?")]
    assert opening(conversation).text == ""


def test_a_block_in_which_a_program_broke_off_is_no_success() -> None:
    trace = 'Traceback (most recent call last):\n  File "/workspace/a.py", line 3, in <module>\n'
    broken = told("python3 a.py add x; python3 a.py list", stderr=trace)
    assert (
        opening([UserMessage("Write a.py"), *ran("a.py"), *broken]).text == "```python\n# a.py\n"
    )


UPLOADED = "\n\nFiles uploaded with this message:\n- /workspace/own.py\n- /workspace/in.csv"


def test_the_person_s_own_file_is_never_written_anew() -> None:
    assert opening([UserMessage(f"Write tests for own.py{UPLOADED}")]).text == ""
    beside = UserMessage(f"Write tests for own.py in test_own.py{UPLOADED}")
    assert opening([beside]).text == "```python\n# test_own.py\n"
    data = UserMessage(f"Create sum.txt from in.csv{UPLOADED}")
    assert opening([data]).text == "```python\n# main.py\n"
    assert opening([data, *ran("main.py", content="open('sum.txt', 'w')")]).is_closing
    trace = 'Traceback (most recent call last):\n  File "/workspace/own.py", line 3, in <module>\n'
    failed = told("python3 own.py", code=1, stderr=trace)
    assert opening([beside, *failed]).text == ""


def test_what_an_earlier_turn_made_is_not_written_anew_either() -> None:
    earlier = [UserMessage("Create out.txt"), *ran("main.py", content="open('out.txt', 'w')")]
    assert opening([*earlier, UserMessage("Make main.py faster")]).text == ""
    more = opening([*earlier, UserMessage("Create sum.csv")])
    assert more.text == "```python\n# main2.py\n"
