"""Files that a task names and that nothing has made so far, told from the conversation alone.

A small model says "done" too early. It is asked about what it forgot, by name.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from sessions.providers.base import Item, ToolCall, UserMessage
from sessions.providers.script import since_user

_KINDS = "py|txt|csv|tsv|json|md|html|css|js|mjs|sh|sql|db|sqlite|svg|xml|yaml|yml|toml|ini|c|cpp"
_FILE = re.compile(rf"(?<![\w./-])(?:[\w-]+/)*[\w-]+\.(?:{_KINDS})(?![\w/]|\.\w)")
_PROGRAMS = {".py", ".js", ".mjs", ".sh", ".sql", ".c", ".cpp"}
_UPLOADED = "\n\nFiles uploaded with this message:"
MAX_TASK_CHARS = 20_000


def outstanding_files(items: Sequence[Item]) -> list[str]:
    """In the order in which the person's latest message names them."""
    task, since = since_user(items)
    made = "\n".join(_made_by(item) for item in since if isinstance(item, ToolCall))
    uploaded = task.partition(_UPLOADED)[2]
    return [
        name
        for name in named_files(task)
        if PurePosixPath(name).name not in made and f"/{name}" not in uploaded
    ]


def existing_files(items: Sequence[Item]) -> set[str]:
    """Bare names of files that were uploaded, or that calls of earlier turns speak of: the person's
    own, or what they have by now."""
    names: set[str] = set()
    calls: list[ToolCall] = []
    for item in items:
        match item:
            case UserMessage(text):
                uploaded = text.partition(_UPLOADED)[2]
                names |= {PurePosixPath(line[2:]).name for line in uploaded.split("\n")}
                names |= {name for call in calls for name in _mentioned(call)}
                calls.clear()
            case ToolCall():
                calls.append(item)
    return names


def is_own(path: str, items: Sequence[Item]) -> bool:
    """Whether a call of the conversation saved this very file as a program."""
    return any(isinstance(item, ToolCall) and path in saved_paths(item) for item in items)


def saved_paths(call: ToolCall) -> list[str]:
    """The files that a call of `run_file` saves; none for other tools."""
    return [str(saved.get("path", "")) for saved in _saved(call)]


def _saved(call: ToolCall) -> list[Mapping[str, Any]]:
    if call.name != "run_file":
        return []
    files = call.arguments.get("files")
    more = [saved for saved in files if isinstance(saved, dict)] if isinstance(files, list) else []
    return [*more, call.arguments]


def _mentioned(call: ToolCall) -> set[str]:
    return {PurePosixPath(name).name for name in _FILE.findall(_made_by(call))}


def named_files(task: str) -> list[str]:
    """Each once, in the order in which the task names them."""
    return list(dict.fromkeys(_FILE.findall(task.partition(_UPLOADED)[0][:MAX_TASK_CHARS])))


def _made_by(call: ToolCall) -> str:
    """All that could name a file the call makes. A page that links to a file does not make it."""
    commands = call.arguments.get("commands")
    words = [*saved_paths(call), str(call.arguments.get("command", ""))]
    words += [
        str(saved.get("content", ""))
        for saved in _saved(call)
        if PurePosixPath(str(saved.get("path", ""))).suffix in _PROGRAMS
    ]
    if isinstance(commands, list):
        words += [str(command) for command in commands]
    return "\n".join(words)
