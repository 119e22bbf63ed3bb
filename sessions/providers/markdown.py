"""Turn a fenced block into a tool call: a file that is saved and run, or a command.

A block that names a file in its first line (`# name.py`, `// name.js`, `<!-- page.html -->`) or
behind its fence is saved under that name and run by what its ending says. A shell block is run.
Small models mix things up, and what they mean is clear most of the time: several named files in one
block, a program named after the file it is to write, a data file in a block of Python. Names are taken from hostile text: only plain relative paths are accepted.
"""

import ast
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
_DATA = {".csv", ".tsv", ".txt", ".json", ".md"}
COMPILE = "python3 -m py_compile"
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
_PYTHON = {"python", "py", "python3"}
_PROGRAMS = set(_RUN_COMMANDS) - {".json", ".sql"}
_COMMAND = re.compile(r"^\s*\$?\s*python3?\s+(?=[\w./-]+\.py\b|-m\s)")
_OPENS_FILES = re.compile(r"\bopen\(|\bwrite_text\(|\bconnect\(")
_TAKES_ARGUMENTS = re.compile(r"\bsys\.argv\b|\bargparse\b")
MAX_NAME_LENGTH = 200


def commented_name(line: str) -> str | None:
    """The file a comment line consists of, None when it is no such line."""
    match = _COMMENTED_NAME.match(line)
    return match[1] if match and len(match[1]) <= MAX_NAME_LENGTH else None


def file_name(block: Block) -> str | None:
    """The relative path the block names, None when it names none that is safe to use."""
    # A name can stand in the second line, behind `#!/usr/bin/env python3`.
    lines = block.content.splitlines()[:2]
    candidates = lines[:1] if lines and not lines[0].startswith("#!") else lines[1:2]
    if candidates and (name := commented_name(candidates[0])):
        return name
    match = _NAME_IN_INFO.search(block.info)
    return match[1] if match and len(match[1]) <= MAX_NAME_LENGTH else None


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
    if block.language in SHELL_LANGUAGES and (name is None or _is_shell(block, name)):
        return "shell", {"commands": [shell_text(block.content)]}
    files = _files(block, name) if name else []
    if len(files) > 1:
        return "run_file", _run_files(files)
    if files and _is_program_for(block, files[0][0]):
        return "run_file", _run_writer(files[0][0], block.content)
    if files:
        is_empty = not files[0][1].strip()
        return None if is_empty else ("run_file", _run_file(*files[0]))
    name = _DEFAULT_NAMES.get(block.language)
    return ("run_file", _run_file(name, block.content)) if name else None


def _is_shell(block: Block, name: str) -> bool:
    """Whether a shell block that names a file holds commands about it, not the file."""
    return name.endswith(".py") and not _has_statements(block.content)


def _files(block: Block, first_name: str) -> list[tuple[str, str]]:
    """Names and contents of the files of a block: a comment line with a name begins each."""
    files: list[tuple[str, list[str]]] = [(first_name, [])]
    for index, line in enumerate(block.content.splitlines()):
        name = commented_name(line) if index else None
        if name is not None and name != files[-1][0] and index > 1:
            files.append((name, []))
        files[-1][1].append(line)
    if len(files) == 2 and files[1][0].endswith(".py"):
        files[1][1][1:1] = _forgotten_import(files[0][0], *("\n".join(f[1]) for f in files))
    return [
        (name, "".join(f"{line}\n" for line in _without_name(name, lines)))
        for name, lines in files
        # A name with nothing below it is a remark.
        if name == first_name or any(line.strip() for line in lines[1:])
    ]


def _forgotten_import(name: str, first: str, second: str) -> list[str]:
    """The line that lets the second part use what it uses of the first, `name`, as if both were one
    file. Empty when it needs none."""
    module = PurePosixPath(name).stem
    if name != f"{module}.py" or not module.isidentifier() or "__future__" in second:
        return []
    try:
        defining, using = ast.parse(first), ast.parse(second)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    defined = {
        statement.name
        for statement in defining.body
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    used, own = set(), set()
    for node in ast.walk(using):
        match node:
            case ast.Name(id=known, ctx=ast.Load()):
                used.add(known)
            case ast.Name(id=known) | ast.FunctionDef(name=known) | ast.ClassDef(name=known):
                own.add(known)
            case ast.alias(name=known, asname=alias):
                own.add(alias or known)
    missing = sorted(defined & used - own)
    return [f"from {module} import {', '.join(missing)}"] if missing else []


def _without_name(name: str, lines: list[str]) -> list[str]:
    """A comment has no place in a data file."""
    is_data = PurePosixPath(name).suffix.lower() in _DATA
    return lines[1:] if is_data and lines and commented_name(lines[0]) else lines


def _is_program_for(block: Block, name: str) -> bool:
    """Whether a block of Python is named after the data file that it is to write."""
    if block.language not in _PYTHON or PurePosixPath(name).suffix.lower() in _PROGRAMS:
        return False
    try:
        tree = ast.parse(block.content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False  # not Python, or too much of it
    # `Ann,70` is an expression of Python as well.
    return any(not isinstance(statement, ast.Expr) for statement in tree.body) or any(
        isinstance(node, ast.Call) for node in ast.walk(tree)
    )


def _run_writer(target: str, content: str) -> dict[str, Any]:
    """Run a program that is named after the file it is to write; what it prints goes there, unless
    it opens files itself."""
    name = str(PurePosixPath(target).with_suffix(".py"))
    arguments = _run_file(name, content)
    if not _OPENS_FILES.search(content):
        output = shlex.quote(target)
        arguments["command"] = f"{run_command(name)} > {output} && cat {output}"
    return arguments


def _run_file(name: str, content: str) -> dict[str, Any]:
    command = run_command(name)
    program, commands = _without_commands(name, content)
    if commands:
        return {"path": name, "content": program, "command": "\n".join(["set -e", *commands])}
    if name.endswith(".py") and _TAKES_ARGUMENTS.search(content):
        # Run without its arguments it would only complain.
        command = f"{COMPILE} {shlex.quote(name)}"
    return {"path": name, "content": content, "command": command}


def _without_commands(name: str, content: str) -> tuple[str, list[str]]:
    """A program of Python, and the shell commands written below it as if they belonged to it."""
    lines = content.rstrip("\n").split("\n")
    commands: list[str] = []
    while lines and (_COMMAND.match(lines[-1]) or not lines[-1].strip()):
        commands.insert(0, lines.pop().strip())
    program = "\n".join(lines) + "\n"
    commands = [command for command in commands if command]
    if not (name.endswith(".py") and commands and _has_statements(program)):
        return content, []
    return program, [_COMMAND.sub("python3 ", command) for command in commands]


def _has_statements(text: str) -> bool:
    """Whether it is a program of Python, and not of comments alone."""
    try:
        return bool(ast.parse(text).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _run_files(files: list[tuple[str, str]]) -> dict[str, Any]:
    """Save all of them and run the last: in one call, so that nothing overtakes."""
    earlier = [{"path": name, "content": content} for name, content in files[:-1]]
    return {**_run_file(*files[-1]), "files": earlier}


def tool_call(block: Block, tool_call_id: str) -> ToolCall | None:
    found = tool_arguments(block)
    return ToolCall(tool_call_id, *found) if found else None
