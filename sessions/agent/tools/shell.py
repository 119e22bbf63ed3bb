"""The `shell` tool: commands that run at the same time, in the words of the Responses API."""

from typing import Any

from typing_extensions import override

from sessions.agent.output import MAX_OUTPUT_LENGTH
from sessions.agent.together import together
from sessions.agent.tools.base import Tool, ToolContext, ToolError
from sessions.agent.tools.execution import Command, run_command
from sessions.providers.base import ToolCall, ToolResultItem, ToolSpec

MAX_COMMANDS = 16
MAX_COMMAND_BYTES = 128 * 1024
"""The kernel takes 128 KiB per argument (MAX_ARG_STRLEN in execve(2))."""

SPEC = ToolSpec(
    name="shell",
    description=(
        "Run shell commands in the container. Commands of one call run at the same time, each in "
        "a shell of its own; chain what must run in order with &&."
    ),
    parameters={
        "type": "object",
        "properties": {
            "commands": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The commands to run.",
            },
            "timeout_ms": {
                "type": "integer",
                "description": "Give up on each command after this many milliseconds.",
            },
        },
        "required": ["commands"],
        "additionalProperties": False,
    },
)


def positive_int(arguments: dict[str, Any], name: str) -> int | None:
    value = arguments.get(name)
    return value if isinstance(value, int) and value > 0 else None


def timeout_s(arguments: dict[str, Any], longest: float) -> float:
    """What the model asked for, never more than the session allows."""
    asked = positive_int(arguments, "timeout_ms")
    return min(asked / 1000, longest) if asked else longest


def check_command(command: object) -> str:
    """Raises: ToolError."""
    if not isinstance(command, str) or not command.strip():
        raise ToolError("Each command must be a non-empty string.")
    if "\0" in command:
        raise ToolError("A command cannot hold a NUL character.")
    if len(command.encode("utf-8", "replace")) >= MAX_COMMAND_BYTES:
        raise ToolError("The command is too long. Write a file first and run that.")
    return command.encode("utf-8", "replace").decode()


class ShellTool(Tool):
    @property
    @override
    def spec(self) -> ToolSpec:
        return SPEC

    @override
    async def run(self, call: ToolCall, context: ToolContext) -> ToolResultItem:
        commands = self._commands(call.arguments)
        longest = context.limits.command_timeout_s
        asked = positive_int(call.arguments, "max_output_length")
        max_output_length = min(asked, MAX_OUTPUT_LENGTH) if asked else None
        results = await together(
            run_command(
                Command(
                    call_id=f"{call.tool_call_id}.{index}",
                    tool_call_id=call.tool_call_id,
                    index=index,
                    tool=call.name,
                    text=text,
                    timeout_s=timeout_s(call.arguments, longest),
                    max_output_length=max_output_length,
                ),
                context,
            )
            for index, text in enumerate(commands)
        )
        return ToolResultItem(
            tool_call_id=call.tool_call_id,
            name=call.name,
            commands=results,
            max_output_length=max_output_length,
        )

    def _commands(self, arguments: dict[str, Any]) -> list[str]:
        if "_invalid" in arguments:
            raise ToolError("The arguments are not valid JSON. Send them again.")
        commands = arguments.get("commands")
        if isinstance(commands, str):
            commands = [commands]
        if not isinstance(commands, list) or not commands:
            raise ToolError('Give the commands as {"commands": ["..."]}.')
        if len(commands) > MAX_COMMANDS:
            raise ToolError(f"At most {MAX_COMMANDS} commands in one call.")
        return [check_command(command) for command in commands]
