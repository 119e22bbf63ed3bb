"""The first words of a reply, where it is clear what kind of reply it must be.

A small model that continues "```python, # name.py" writes that program; one that begins by itself
often writes the file's content by hand, or about the file. When all is made, one that begins by
itself goes on to make what nobody asked for.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sessions.providers.base import Item, ToolCall, ToolResultItem, UserMessage
from sessions.providers.chat_messages import Message
from sessions.providers.markdown_prompt import has_succeeded, is_only_compiled
from sessions.providers.outstanding import (
    MAX_TASK_CHARS,
    existing_files,
    is_own,
    named_files,
    outstanding_files,
)
from sessions.providers.script import since_user

MAX_FORCED_TRIES = 4
"""After so many failures of a turn the model may say that it gives up."""

_DATA = {".txt", ".csv", ".tsv", ".json", ".db", ".sqlite", ".svg", ".xml", ".md"}
_WRITE = re.compile(
    r"(?:^|[.!;:]\s|\b(?:please|then|and|now|also)\s)\s*"
    r"(?:write|create|make|build|implement|generate|calculate|compute)\b",
    re.IGNORECASE | re.MULTILINE,
)
"""An order to make something, not a word about it."""
_ASKS = re.compile(
    r"\?|^\W*(?:what|why|how|who|which|where|when|is|are|was|does|do|did|can|could|should|would|"
    r"explain|describe|tell|delete|remove|show|list|look|read|thanks?)\b",
    re.IGNORECASE,
)
_PYTHON = re.compile(r"\bpython\b", re.IGNORECASE)
_BLAMED = re.compile(r'^  File "/workspace/([\w./-]{1,100}\.py)", line \d', re.MULTILINE)
"""The person's own files in a traceback, the innermost last."""
_FAILED = re.compile(r"\b(?:fail(?:ed|ure)?s?|error|traceback)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Opening:
    text: str = ""
    is_closing: bool = False
    """Whether the reply is to have no block."""

    def messages(self) -> list[Message]:
        """What follows the conversation: the start of a message, which the endpoint continues."""
        return [{"role": "assistant", "content": self.text}] if self.text else []

    @property
    def sampling(self) -> dict[str, list[str]]:
        """What this asks of the endpoint."""
        return {"stop": ["```"]} if self.is_closing else {}


FREE = Opening()
_DONE = Opening("I have", is_closing=True)


def opening(items: Sequence[Item]) -> Opening:
    """What the reply to the conversation begins with."""
    task, since = since_user(items)
    last = items[-1] if items else None
    if isinstance(last, UserMessage):
        return _for_task(task, existing_files(items))
    if not isinstance(last, ToolResultItem):
        return FREE
    if not has_succeeded(last):
        return _for_failure(items, since, last)
    if is_only_compiled(last):
        return _for_trial(task, since)
    existing = existing_files(items)
    if missing := outstanding_files(items):
        return _for_missing(missing, existing)
    is_clear = bool(named_files(task) or _PYTHON.search(task))
    return _DONE if _is_order(task) and is_clear and not _speaks_of_failure(last) else FREE


def _is_order(task: str) -> bool:
    order = task[:MAX_TASK_CHARS]
    return bool(_WRITE.search(order)) and not _ASKS.search(order)


def _for_task(task: str, existing: Collection[str]) -> Opening:
    if not _is_order(task):
        return FREE
    # What the person has already is not to be written anew.
    names = [name for name in named_files(task) if PurePosixPath(name).name not in existing]
    programs = [name for name in names if name.endswith(".py")]
    if programs:
        return _program(programs[0])
    if names and all(PurePosixPath(name).suffix in _DATA for name in names):
        return _program(_free_name("main", existing))
    # No space at the end: the model's words begin with theirs.
    return Opening("```python\n#") if not names and _PYTHON.search(task) else FREE


def _for_failure(items: Sequence[Item], since: Sequence[Item], last: ToolResultItem) -> Opening:
    failures = [
        item for item in since if isinstance(item, ToolResultItem) and not has_succeeded(item)
    ]
    calls = [item for item in since if isinstance(item, ToolCall)]
    if len(failures) > MAX_FORCED_TRIES or not calls:
        return FREE
    if calls[-1].name == "run_file":
        path = str(calls[-1].arguments.get("path", ""))
    else:
        blamed = _BLAMED.findall("\n".join(result.stderr for result in last.commands))
        path = blamed[-1] if blamed and is_own(blamed[-1], items) else ""
    return _program(path) if path.endswith(".py") else FREE


def _for_trial(task: str, since: Sequence[Item]) -> Opening:
    """The shell block that tries what was only compiled: by a command the task names, else it may
    first have to make a file that the program reads."""
    calls = [item for item in since if isinstance(item, ToolCall)]
    path = str(calls[-1].arguments.get("path", "")) if calls else ""
    named = re.search(rf"\bpython3? {re.escape(path)} [a-z]+\b", task[:MAX_TASK_CHARS])
    return Opening(f"```bash\n{named[0] if named else ''}")


def _for_missing(missing: Sequence[str], existing: Collection[str]) -> Opening:
    path = PurePosixPath(missing[0])
    if path.name in existing:
        return FREE
    if path.suffix == ".py":
        return _program(str(path))
    is_data = path.suffix in _DATA
    return _program(_free_name(f"make_{path.stem}", existing)) if is_data else FREE


def _free_name(stem: str, existing: Collection[str]) -> str:
    names = (f"{stem}{number}.py" for number in ("", *range(2, 100)))
    return next((name for name in names if name not in existing), f"{stem}.py")


def _program(name: str) -> Opening:
    return Opening(f"```python\n# {name}\n")


def _speaks_of_failure(item: ToolResultItem) -> bool:
    """Of a program that ended with 0 all the same."""
    return any(_FAILED.search(f"{result.stdout}\n{result.stderr}") for result in item.commands)
