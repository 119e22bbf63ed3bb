"""Blocks of a model that works in Markdown, where it was given a code interpreter and no shell.

A block of Python without a file name is code as it is. What else the model may write, a file that is
saved and run or commands of a shell, becomes code that does so. What the block was is kept beside
the code, so that all that is known about blocks holds for the next reply.
"""

import dataclasses
from typing import Any

from sessions.providers.base import (
    PYTHON,
    Delta,
    Item,
    ItemDone,
    ModelRequest,
    ToolCall,
)
from sessions.providers.markdown import run_command

_BLOCK = "block"
_UNNAMED = "script.py"
_SHELL, _RUN_FILE = "shell", "run_file"


def wants_code(request: ModelRequest) -> bool:
    names = {tool.name for tool in request.tools}
    return PYTHON in names and _SHELL not in names


def with_blocks(request: ModelRequest) -> ModelRequest:
    """As if its calls of the interpreter had been blocks."""
    return dataclasses.replace(request, items=[_as_block(item) for item in request.items])


def _as_block(item: Item) -> Item:
    if not isinstance(item, ToolCall) or item.name != PYTHON:
        return item
    block = (item.raw or {}).get(_BLOCK)
    if isinstance(block, dict):
        return dataclasses.replace(item, name=block["name"], arguments=block["arguments"])
    code = str(item.arguments.get("code", ""))
    arguments = {"path": _UNNAMED, "content": code, "command": run_command(_UNNAMED)}
    return dataclasses.replace(item, name=_RUN_FILE, arguments=arguments)


def with_code(delta: Delta) -> Delta:
    match delta:
        case ItemDone(ToolCall(name=name) as call) if name in (_SHELL, _RUN_FILE):
            block = {"name": name, "arguments": call.arguments}
            arguments = {"code": code_of_block(name, call.arguments)}
            raw = {_BLOCK: block}
            return ItemDone(ToolCall(call.tool_call_id, PYTHON, arguments, raw=raw))
    return delta


def code_of_block(name: str, arguments: dict[str, Any]) -> str:
    if name == _SHELL:
        return "\n".join(["import subprocess", *map(_command, arguments["commands"])])
    command, path = arguments["command"], arguments["path"]
    files = [*arguments.get("files", ()), arguments]
    if len(files) == 1 and path == _UNNAMED and command == run_command(path):
        return str(arguments["content"])
    lines = ["import subprocess", "from pathlib import Path"]
    for file in files:
        if "/" in file["path"]:
            lines.append(f"Path({file['path']!r}).parent.mkdir(parents=True, exist_ok=True)")
        lines.append(f"Path({file['path']!r}).write_text({file['content']!r})")
    return "\n".join([*lines, _command(command)])


def _command(command: str) -> str:
    """What it prints goes where the code prints; its failure is the code's."""
    return f"subprocess.run({command!r}, shell=True, check=True);"
