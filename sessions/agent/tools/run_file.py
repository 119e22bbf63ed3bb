"""The `run_file` tool: save one file and run it, for models that work in Markdown."""

from typing_extensions import override

from sessions.agent.tools.base import Tool, ToolContext, ToolError
from sessions.agent.tools.execution import Command, run_command
from sessions.agent.tools.shell import check_command, timeout_s
from sessions.errors import FileAccessError
from sessions.providers.base import ToolCall, ToolResultItem, ToolSpec

SPEC = ToolSpec(
    name="run_file",
    description="Save a file in the workspace and run a command right after.",
    parameters={
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Where to save it, below /workspace."},
            "content": {"type": "string"},
            "command": {"type": "string", "description": "What to run then."},
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
        path, content = call.arguments.get("path"), call.arguments.get("content")
        if not isinstance(path, str) or not path or not isinstance(content, str):
            raise ToolError("Give the file as path and content, both strings.")
        command = check_command(call.arguments.get("command"))
        call_id = f"{call.tool_call_id}.0"
        if call_id not in context.recorded:
            await self._save(path, content, context)
        result = await run_command(
            Command(
                call_id=call_id,
                tool_call_id=call.tool_call_id,
                index=0,
                tool=call.name,
                text=command,
                timeout_s=timeout_s(call.arguments, context.limits.command_timeout_s),
                writes=path,
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
