"""The `run_file` tool: save a file and run it, for models that work in Markdown."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from sessions.agent.tools.base import Tool, ToolContext, ToolError
from sessions.agent.tools.execution import Command, run_command
from sessions.agent.tools.shell import check_command, timeout_s
from sessions.errors import FileAccessError
from sessions.providers.base import ToolCall, ToolResultItem, ToolSpec

MAX_FILES = 16
SPEC = ToolSpec(
    name="run_file",
    description="Save a file in the workspace and run a command right after.",
    parameters={
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Where to save it, below /workspace."},
            "content": {"type": "string"},
            "command": {"type": "string", "description": "What to run then."},
            "files": {
                "type": "array",
                "description": "More files, saved before it.",
                "items": {
                    "type": "object",
                    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
                    "required": ["path", "content"],
                },
            },
        },
        "required": ["path", "content", "command"],
        "additionalProperties": False,
    },
)


class RunFileTool(Tool):
    @property
    @override
    def spec(self) -> ToolSpec:
        return SPEC

    @override
    async def run(self, call: ToolCall, context: ToolContext) -> ToolResultItem:
        files = _files(call.arguments)
        command = check_command(call.arguments.get("command"))
        call_id = f"{call.tool_call_id}.0"
        if call_id not in context.recorded:
            for path, content in files:
                await self._save(path, content, context)
        result = await run_command(
            Command(
                call_id=call_id,
                tool_call_id=call.tool_call_id,
                index=0,
                tool=call.name,
                text=command,
                timeout_s=timeout_s(call.arguments, context.limits.command_timeout_s),
                writes=", ".join(path for path, _ in files),
            ),
            context,
        )
        return ToolResultItem(tool_call_id=call.tool_call_id, name=call.name, commands=[result])

    async def _save(self, path: str, content: str, context: ToolContext) -> None:
        sandbox, _ = await context.connect()
        try:
            await sandbox.write_file(path, content.encode("utf-8", "replace"))
        except FileAccessError as error:
            raise ToolError(f"{path} was not saved: {error.message}") from error


def _files(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Paths and contents, the file that is run last. Raises: ToolError."""
    more = arguments.get("files", [])
    if not isinstance(more, list) or len(more) > MAX_FILES:
        raise ToolError(f"Give at most {MAX_FILES} files, as a list.")
    return [_file(given) for given in (*more, arguments)]


def _file(given: Any) -> tuple[str, str]:
    path, content = (
        (given.get("path"), given.get("content")) if isinstance(given, dict) else (0, 0)
    )
    if not isinstance(path, str) or not path or not isinstance(content, str):
        raise ToolError("Give the file as path and content, both strings.")
    return path, content
