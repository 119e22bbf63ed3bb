"""What a small model is told so that it works in Markdown, and how results are put to it.

Tuned with real runs on tests/evaluation/tuning_tasks.py, never on the evaluation's own tasks.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from sessions.providers.base import CommandResult, ToolResultItem
from sessions.providers.conversation import ending_text
from sessions.providers.error_hints import hint_for
from sessions.providers.markdown import COMPILE

INSTRUCTIONS = """\
You are a programmer with a Linux computer. You work in the folder /workspace. You act by writing \
ONE code block per reply. The block is run at once and you are shown its real output.

To save a file and run it, write a python block whose first line is a comment with the file name:
```python
# hello.py
print("hello")
```

To run shell commands, write a bash block:
```bash
ls -l
```

Rules:
- One code block per reply, then stop. Never write the output yourself.
- One file per block. A task that needs several files takes several replies.
- Write complete programs. Use only the Python standard library. There is no network and no \
keyboard: never use input().
- When the output shows an error, write the whole corrected file again under the same name.
- When the output shows that everything the task asks for is done, answer with one or two \
sentences and no code block.
"""

_RULES = (
    (
        r"\btest",
        "Put the tests into the same file, below the code: two or three assert statements with "
        "tiny inputs, at most three elements each, then print that they passed. Where the task "
        "names a file for the tests, write that file after the code is saved, and import what it "
        "tests.",
    ),
    (
        r"\w\.(?:txt|csv|tsv|json|db|sqlite)\b",
        "A file of data is made by a program: it works the content out, opens the file and writes "
        "it. Never write the data by hand. Then print what was written.",
    ),
    (
        r"\bargument|command line|\bpython3? \w+\.py\b",
        "A program for the command line begins with `import sys` and reads sys.argv.",
    ),
    (
        r"`python3? \w+\.py [a-z]+",
        "It takes its commands apart so: `command, *rest = sys.argv[1:]`, then each command uses "
        "what it needs of `rest`; some need nothing.",
    ),
    (
        r"\w\.json\b",
        "A JSON file does not exist at first. Begin with `import json, os, sys` and read it so: "
        "`data = json.load(open(name)) if os.path.exists(name) else {}`, or with [] for a list.",
    ),
    (r"\bfolder|\bdirectory|\w/\w", "A file in a folder is named with it: `# site/page.html`."),
)
"""Said only where the task gives cause: a small model applies each rule it is told."""

SHORTER = "Keep it short: one small program, no long lists or lines."
BLOCK_WANTED = (
    "The last block failed, so the task is not done. Answer with ONE corrected code block now, no "
    "other words."
)
MAX_OUTPUT_CHARS = 2400
"""Of each stream of each command: the context is small."""


def instructions(task: str) -> str:
    rules = [rule for cause, rule in _RULES if re.search(cause, task, re.IGNORECASE)]
    return INSTRUCTIONS + "".join(f"- {rule}\n" for rule in rules)


def result_message(item: ToolResultItem, missing: Sequence[str] = ()) -> str:
    """What the model is told about the block it wrote. `missing` are files still to be made."""
    if not item.commands:
        return f"The block was not run: {item.text}\nWrite a corrected block."
    told = "\n".join(_told(result) for result in item.commands)
    if is_only_compiled(item):
        name = item.commands[0].command.rpartition(" ")[2]
        return (
            f"{name} is saved; it takes arguments, so it was not run yet. Do not change it now. "
            "Try it with one bash block that holds shell commands only, with real values. If "
            "the program reads a file, make that file first, in the same block."
        )
    if all(_succeeded(result) for result in item.commands):
        if missing:
            return f"{told}\n{still_to_make(missing)}"
        return (
            f"{told}\nIs there anything in the task that is not done yet? If so, write the next "
            "code block. If all is done, answer with one sentence and no code block."
        )
    hint = hint_for("\n".join(result.stderr for result in item.commands))
    wanted = "Find the mistake and write the whole corrected block."
    return "\n".join(part for part in (told, hint, wanted) if part)


def still_to_make(missing: Sequence[str]) -> str:
    first = missing[0]
    told = f"Not done yet: the task names {' and '.join(missing)}, and nothing has made it so far."
    if PurePosixPath(first).suffix in {".txt", ".csv", ".json"}:
        return (
            f"{told} Write one python block now: a program that works out what belongs into "
            f"{first}, opens {first} for writing and writes it there."
        )
    return f"{told} Write one code block now: the whole of {first}."


def already_made(paths: Sequence[str]) -> str:
    return f"Made so far, leave as it is: {', '.join(paths)}.\n" if paths else ""


def has_succeeded(item: ToolResultItem) -> bool:
    """Whether nothing went wrong. A shell block may end with 0 after a program in it broke off."""
    return bool(item.commands) and all(_succeeded(result) for result in item.commands)


def fresh_start(task: str, result: str) -> str:
    """The task put anew, without the block that the model would copy otherwise."""
    return f"{task}\n\nAn earlier try failed:\n{result}\n\nWrite a new block that works."


def is_only_compiled(item: ToolResultItem) -> bool:
    last_lines = [result.command.splitlines()[-1] for result in item.commands if result.command]
    return all(_succeeded(result) for result in item.commands) and any(
        line.startswith(COMPILE) for line in last_lines
    )


def _succeeded(result: CommandResult) -> bool:
    has_ended_well = result.ending.get("kind") == "exit" and result.ending.get("exit_code") == 0
    return has_ended_well and "Traceback (most recent call last)" not in result.stderr


def _told(result: CommandResult) -> str:
    parts = []
    for name, text in (("Output", result.stdout), ("Errors", result.stderr)):
        shown = head_and_tail(text.strip("\n"))
        if shown:
            # A longer fence, so that fences in the output do not end it.
            parts.append(f"{name}:\n````\n{shown}\n````")
    parts.append(f"It ended with {ending_text(result)}.")
    if len(parts) == 1:
        parts.insert(0, "It printed nothing.")
    return "\n".join(parts)


def head_and_tail(text: str, limit: int = MAX_OUTPUT_CHARS) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    omitted = len(text) - 2 * half
    return f"{text[:half]}\n[... {omitted:,} characters left out ...]\n{text[-half:]}"
