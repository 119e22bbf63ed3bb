"""Turn a fenced block into a tool call: a file that is saved and run, or a command.

A block that names a file in its first line (`# name.py`, `// name.js`, `<!-- page.html -->`) or
behind its fence is saved under that name and run by what its ending says. A shell block is run.
Names are taken from hostile text: only plain relative paths are accepted.
"""

import re
import shlex
from pathlib import PurePosixPath
from typing import Any

from sessions.providers.base import ToolCall
from sessions.providers.fences import Block

SHELL_LANGUAGES = {"bash", "sh", "shell", "zsh", "console", "shell-session"}
_DEFAULT_NAMES = {
    "python": "script.py",
    "py": "script.py",
    "python3": "script.py",
    "javascript": "script.js",
    "js": "script.js",
    "node": "script.js",
    "c": "program.c",
    "cpp": "program.cpp",
    "c++": "program.cpp",
}
_RUN_COMMANDS = {
    ".py": "python3 {0}",
    ".sh": "bash {0}",
    ".js": "node {0}",
    ".mjs": "node {0}",
    ".cjs": "node {0}",
    ".pl": "perl {0}",
    ".c": "gcc -O2 -Wall -o {1} {0} -lm && ./{1}",
    ".cpp": "g++ -O2 -Wall -o {1} {0} && ./{1}",
    ".sql": "sqlite3 :memory: < {0}",
    ".json": "python3 -m json.tool {0}",
}
_NAME = r"(?:/workspace/|\./)?((?:\w[\w.\-]*/)*\w[\w.\-]*\.\w{1,8})"
_COMMENTED_NAME = re.compile(
    rf"^\s*(?:#+|//|--|;|<!--|/\*|%)\s*(?:file(?:name)?\s*[:=]\s*)?[`'\"]?{_NAME}[`'\"]?"
    r"\s*:?\s*(?:-->|\*/)?\s*$",
    re.IGNORECASE,
)
_NAME_IN_INFO = re.compile(
    rf"(?:^|\s)(?:(?:title|file|filename|name)=)?[\"']?{_NAME}[\"']?\s*\}}?\s*$"
)
_PROMPT = re.compile(r"^\s*\$ ")
MAX_NAME_LENGTH = 200


def file_name(block: Block) -> str | None:
    """The relative path the block names, None when it names none that is safe to use."""
    # A name can stand in the second line, behind `#!/usr/bin/env python3`.
    lines = block.content.splitlines()[:2]
    candidates = lines[:1] if lines and not lines[0].startswith("#!") else lines[1:2]
    match = _COMMENTED_NAME.match(candidates[0]) if candidates else None
    match = match or _NAME_IN_INFO.search(block.info)
    if match is None or len(match[1]) > MAX_NAME_LENGTH:
        return None
    return match[1]


def run_command(name: str) -> str:
    """What runs the file: by its ending, else something that shows it is there."""
    path = PurePosixPath(name)
    template = _RUN_COMMANDS.get(path.suffix.lower(), "ls -l {0}")
    return template.format(shlex.quote(name), shlex.quote(str(path.with_suffix(""))))


def shell_text(content: str) -> str:
    """The commands of a shell block, without the `$ ` prompts of a pasted transcript."""
    lines = content.splitlines()
    if any(_PROMPT.match(line) for line in lines):
        lines = [_PROMPT.sub("", line) for line in lines if _PROMPT.match(line)]
    return "\n".join(lines).strip("\n")


def tool_arguments(block: Block) -> tuple[str, dict[str, Any]] | None:
    """Name and arguments of the tool the block asks for, None when it is not to be run."""
    if not block.content.strip():
        return None
    name = file_name(block)
    if name is None and block.language in SHELL_LANGUAGES:
        return "shell", {"commands": [shell_text(block.content)]}
    name = name or _DEFAULT_NAMES.get(block.language)
    if name is None:
        return None
    return "run_file", {"path": name, "content": block.content, "command": run_command(name)}


def tool_call(block: Block, tool_call_id: str) -> ToolCall | None:
    found = tool_arguments(block)
    return ToolCall(tool_call_id, *found) if found else None
