"""Conversation items as input of the Responses API.

Nothing is stored at the endpoint, so each request carries the whole conversation. Items that came
from this API go back as they came, less what the endpoint would look up in its own store.
"""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sessions.providers.base import (
    AssistantMessage,
    CommandResult,
    Compacted,
    Item,
    ModelOptions,
    Reasoning,
    ToolCall,
    ToolResultItem,
    ToolSpec,
    UserMessage,
)
from sessions.providers.conversation import (
    ending_text,
    exit_code,
    result_text,
    with_paired_calls,
)
from sessions.providers.patches import APPLY_PATCH
from sessions.providers.tool_arguments import arguments_text

Input = dict[str, Any]
SHELL = "shell"
NATIVE_CALLS = frozenset({"custom_tool_call", "tool_search_call", "apply_patch_call"})
"""Calls of tools that are no functions, which the API takes back as they came."""
_ENDS_OF_THEIR_OWN = {"exit", "timeout"}


def responses_input(
    items: Sequence[Item], *, has_shell: bool, has_patch: bool = True
) -> list[Input]:
    """Whether the endpoint knows the tools `shell` and `apply_patch`, or takes them as functions."""
    made: list[Input] = []
    shell_calls: dict[str, ToolCall] = {}
    for item in with_paired_calls(items if has_patch else map(_without_patch, items)):
        if isinstance(item, ToolCall) and has_shell and item.name == SHELL:
            shell_calls[item.tool_call_id] = item
        if isinstance(item, ToolResultItem) and item.tool_call_id in shell_calls:
            made.append(shell_output(item, shell_calls[item.tool_call_id]))
        else:
            made.extend(_plain(item, is_shell=isinstance(item, ToolCall) and has_shell))
    return made


def _without_patch(item: Item) -> Item:
    """As of a function."""
    if isinstance(item, ToolCall | ToolResultItem):
        kind = str((item.raw or {}).get("type", ""))
        if kind.startswith("apply_patch_call"):
            return dataclasses.replace(item, raw=None)
    return item


def _plain(item: Item, *, is_shell: bool) -> Iterator[Input]:
    match item:
        case UserMessage(text, role, parts):
            yield {"role": role, "content": parts or text}
        case Compacted(text):
            yield {"role": "user", "content": text}
        case AssistantMessage(text, raw):
            yield _replayed(raw, "message") or {"role": "assistant", "content": text}
        case Reasoning(_, raw):
            # Without its encrypted content the endpoint would look for it in its store.
            if raw and raw.get("type") == "reasoning" and raw.get("encrypted_content"):
                # Its id may be ours, and it is looked at as a whole.
                yield {key: value for key, value in raw.items() if key not in {"id", "status"}}
        case ToolCall() if is_shell and item.name == SHELL:
            yield _replayed(item.raw, "shell_call") or _shell_call(item)
        case ToolCall():
            kind = (item.raw or {}).get("type", "")
            known = kind if kind in NATIVE_CALLS else "function_call"
            yield _replayed(item.raw, known) or _function_call(item)
        case ToolResultItem(raw=dict() as raw):
            yield {key: value for key, value in raw.items() if key != "id"}
        case ToolResultItem():
            yield {
                "type": "function_call_output",
                "call_id": item.tool_call_id,
                "output": result_text(item),
            }


def _replayed(raw: dict[str, Any] | None, expected_type: str) -> Input | None:
    """The item as it came. Its id would be looked up, so it is left out."""
    if not raw or raw.get("type") != expected_type:
        return None
    return {key: value for key, value in raw.items() if key not in {"id", "created_by"}}


def _shell_call(call: ToolCall) -> Input:
    commands = call.arguments.get("commands")
    return {
        "type": "shell_call",
        "call_id": call.tool_call_id,
        "action": {
            "commands": list(commands) if isinstance(commands, list) else [],
            "timeout_ms": call.arguments.get("timeout_ms"),
            "max_output_length": call.arguments.get("max_output_length"),
        },
        "status": "completed",
    }


def _function_call(call: ToolCall) -> Input:
    return {
        "type": "function_call",
        "call_id": call.tool_call_id,
        "name": call.name,
        "arguments": arguments_text(call.arguments),
    }


def shell_output(item: ToolResultItem, call: ToolCall) -> Input:
    """One entry per command, as the API demands, also when the tool only had something to say."""
    output = [_command_output(result) for result in item.commands]
    if not output:
        commands = call.arguments.get("commands")
        count = len(commands) if isinstance(commands, list) and commands else 1
        entry = {"stdout": "", "stderr": item.text, "outcome": {"type": "exit", "exit_code": 1}}
        output = [entry] * count
    return {
        "type": "shell_call_output",
        "call_id": item.tool_call_id,
        "output": output,
        "max_output_length": item.max_output_length,
    }


def _command_output(result: CommandResult) -> dict[str, Any]:
    kind = result.ending.get("kind")
    stderr = result.stderr
    if kind not in _ENDS_OF_THEIR_OWN or result.ending.get("oom_kills"):
        # The API knows exit and timeout alone; the model is told the rest in words.
        separator = "\n" if stderr and not stderr.endswith("\n") else ""
        stderr = f"{stderr}{separator}[{ending_text(result)}]"
    return {"stdout": result.stdout, "stderr": stderr, "outcome": outcome(result)}


def outcome(result: CommandResult) -> dict[str, Any]:
    """How it ended, in the API's two words."""
    if result.ending.get("kind") == "timeout":
        return {"type": "timeout"}
    return {"type": "exit", "exit_code": exit_code(result)}


def responses_tools(
    tools: Sequence[ToolSpec], *, has_shell: bool, has_patch: bool = True
) -> list[dict[str, Any]]:
    return [_tool(tool, has_shell=has_shell, has_patch=has_patch) for tool in tools]


def _tool(tool: ToolSpec, *, has_shell: bool, has_patch: bool) -> dict[str, Any]:
    if has_shell and tool.name == SHELL:
        return {"type": "shell", "environment": {"type": "local"}}
    is_known = has_patch or (tool.native or {}).get("type") != APPLY_PATCH
    native = tool.native if is_known else None
    return native or {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.is_strict,
    }


def responses_options(options: ModelOptions, *, refused: Collection[str] = ()) -> dict[str, Any]:
    """Fields of the request beside conversation, tools and reasoning; `refused` are tools that the
    endpoint takes as functions."""
    choice = options.tool_choice
    if isinstance(choice, dict) and choice.get("type") in refused:
        choice = {"type": "function", "name": choice["type"]}
    fields = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "max_output_tokens": options.max_output_tokens,
        "parallel_tool_calls": options.parallel_tool_calls,
        "tool_choice": choice,
        "text": options.text,
        "truncation": options.truncation,
    }
    return {name: value for name, value in fields.items() if value is not None}
