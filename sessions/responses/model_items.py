"""Items as programs send and get them, as items that a model is given."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sessions.agent.loop import pending_calls
from sessions.agent.tools.file_search import FILE_SEARCH, known_results, results_text
from sessions.providers.base import (
    AssistantMessage,
    CommandResult,
    Item,
    Reasoning,
    ToolCall,
    ToolResultItem,
    UserMessage,
)
from sessions.providers.tool_arguments import parse_arguments

ApiItem = Mapping[str, Any]
SHELL = "shell"
TOOL_SEARCH = "tool_search"
NOT_ENDED = "Stopped before it ended."
UNDERSTOOD = frozenset(
    {
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "shell_call",
        "shell_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "tool_search_call",
        "tool_search_output",
        "file_search_call",
    }
)
"""Kinds of items that a model can be given here."""
CALLS = {
    "function_call": "function_call_output",
    "shell_call": "shell_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "tool_search_call": "tool_search_output",
}
"""Kinds of calls, and the kind that answers each."""


def model_items(items: Iterable[ApiItem], *, has_container: bool) -> list[Item]:
    """Files of messages are in the container where there is one.

    Every call with a result: those that were cut off get one that says so, for what is not
    answered would be run. Items of a kind that is not in `UNDERSTOOD` are left out."""
    made: list[Item] = []
    for item in items:
        made.extend(_model_item(item, has_container=has_container))
    return made + results_missing(made)


def results_missing(items: Sequence[Item]) -> list[ToolResultItem]:
    """For calls that were cut off: endpoints refuse a call without a result."""
    return [
        ToolResultItem(call.tool_call_id, call.name, text=NOT_ENDED)
        for call in pending_calls(items)
    ]


def _model_item(item: ApiItem, *, has_container: bool) -> Iterable[Item]:
    match item:
        case {"type": "message", "role": "assistant"}:
            yield AssistantMessage(text_of(item["content"]), raw=dict(item))
        case {"type": "message", "role": role, "content": content}:
            content = [_part(part, has_container=has_container) for part in content]
            has_more = any(part["type"] != "input_text" for part in content)
            yield UserMessage(text_of(content), role, list(content) if has_more else None)
        case {"type": "reasoning"}:
            parts = [*item["summary"], *(item.get("content") or ())]
            yield Reasoning("\n\n".join(str(part.get("text", "")) for part in parts), dict(item))
        case {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}:
            yield ToolCall(call_id, name, parse_arguments(name, arguments), raw=dict(item))
        case {"type": "function_call_output", "call_id": call_id, "output": output}:
            yield ToolResultItem(call_id, "", text=text_of(output))
        case {"type": "shell_call", "call_id": call_id, "action": action}:
            wanted = {key: value for key, value in action.items() if value is not None}
            yield ToolCall(call_id, SHELL, wanted)
        case {"type": "shell_call_output", "call_id": call_id, "output": outputs}:
            commands = [_command(output) for output in outputs]
            yield ToolResultItem(
                call_id, SHELL, commands, max_output_length=item.get("max_output_length")
            )
        case {"type": "file_search_call", "id": call_id, "queries": queries}:
            yield ToolCall(call_id, FILE_SEARCH, {"queries": queries})
            text = results_text(known_results(item.get("results")))
            yield ToolResultItem(call_id, FILE_SEARCH, text=text)
        case _:
            yield from _native(item)


def _native(item: ApiItem) -> Iterable[Item]:
    """Of tools that are no functions: they go back to the endpoint as they came."""
    match item:
        case {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": given}:
            yield ToolCall(call_id, name, {"input": given}, raw=dict(item))
        case {"type": "custom_tool_call_output", "call_id": call_id, "output": output}:
            yield ToolResultItem(call_id, "", text=text_of(output), raw=dict(item))
        case {"type": "tool_search_call", "call_id": str() as call_id, "arguments": given}:
            arguments = given if isinstance(given, dict) else {}
            yield ToolCall(call_id, TOOL_SEARCH, arguments, raw=dict(item))
        case {"type": "tool_search_output", "call_id": str() as call_id, "tools": tools}:
            yield ToolResultItem(call_id, TOOL_SEARCH, text=json.dumps(tools), raw=dict(item))


def _part(part: Mapping[str, Any], *, has_container: bool) -> dict[str, Any]:
    if part["type"] != "input_file" or not has_container:
        return dict(part)
    name = part.get("filename") or "file"
    return {"type": "input_text", "text": f"[The file /workspace/{name}]"}


def _command(output: Mapping[str, Any]) -> CommandResult:
    outcome = output["outcome"]
    ending = {"kind": outcome["type"]}
    if outcome["type"] == "exit":
        ending["exit_code"] = outcome["exit_code"]
    return CommandResult("", output["stdout"], output["stderr"], ending)


def text_of(content: str | Iterable[Mapping[str, Any]]) -> str:
    """What of the parts is text."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in content)


def functions_found(items: Iterable[ApiItem]) -> list[dict[str, Any]]:
    """Functions that the program's own search for tools brought up."""
    found = []
    for item in items:
        if item["type"] == "tool_search_output":
            for tool in item["tools"]:
                inner = tool.get("tools") if tool.get("type") == "namespace" else [tool]
                found += [one for one in inner or () if is_function(one)]
    return list({one["name"]: one for one in found}.values())


def is_function(tool: Any) -> bool:
    """Of what a program sends as a tool that it found."""
    return (
        isinstance(tool, dict)
        and tool.get("type") == "function"
        and isinstance(tool.get("name"), str)
        and isinstance(tool.get("description"), str | None)
        and isinstance(tool.get("parameters"), dict | None)
    )
