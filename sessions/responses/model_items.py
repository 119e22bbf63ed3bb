"""Items as programs send and get them, as items that a model is given."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sessions.agent.loop import pending_calls
from sessions.agent.tools.file_search import FILE_SEARCH, known_results, results_text
from sessions.providers.base import (
    PYTHON,
    AssistantMessage,
    CommandResult,
    Item,
    Reasoning,
    ToolCall,
    ToolResultItem,
    UserMessage,
)
from sessions.providers.conversation import text_of
from sessions.providers.patches import APPLY_PATCH
from sessions.providers.tool_arguments import parse_arguments
from sessions.responses.included import CODE_CALL
from sessions.responses.namespaces import name_within, tools_apart

ApiItem = Mapping[str, Any]
SHELL = "shell"
TOOL_SEARCH = "tool_search"
COMPACTION = "compaction"
MAX_CALL_ID = 64
"""Characters that endpoints take."""
CITATIONS = frozenset({"container_file_citation", "file_citation"})
NOT_ENDED = "Stopped before it ended."
CALLS = {
    "function_call": "function_call_output",
    "shell_call": "shell_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "tool_search_call": "tool_search_output",
    "apply_patch_call": "apply_patch_call_output",
}
"""Kinds of calls, and the kind that answers each."""


def is_answer(item: ApiItem) -> bool:
    """Whether a model said it."""
    is_call = item["type"] in CALLS or item["type"] == CODE_CALL
    return is_call or item.get("role") == "assistant"


def model_items(
    items: Sequence[ApiItem],
    *,
    has_container: bool,
    unseal: Callable[[str], list[Item]],
) -> list[Item]:
    """Files of messages are in the container where there is one. What stands before the newest
    compaction is in that, which `unseal` opens. Raises: what that raises.

    Every call with a result: those that were cut off get one that says so, for what is not
    answered would be run."""
    made: list[Item] = []
    newest = max((i for i, one in enumerate(items) if one["type"] == COMPACTION), default=-1)
    if newest >= 0:
        made += unseal(items[newest]["encrypted_content"])
    for item in items[newest + 1 :]:
        made.extend(_model_item(item, has_container=has_container))
    return made + results_missing(made)


def results_missing(items: Sequence[Item]) -> list[ToolResultItem]:
    """For calls that were cut off: endpoints refuse a call without a result."""
    return [
        ToolResultItem(call.tool_call_id, call.name, text=NOT_ENDED)
        for call in pending_calls(items)
    ]


def _model_item(item: ApiItem, *, has_container: bool) -> Iterable[Item]:
    item = _by_one_name(item)
    match item:
        case {"type": "message", "role": "assistant"}:
            yield AssistantMessage(text_of(item["content"]), raw=_uncited(item))
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
            yield ToolResultItem(
                call_id,
                "",
                text=text_of(output),
                raw=None if isinstance(output, str) else dict(item),
                images=_pictures(output),
            )
        case {"type": "shell_call", "call_id": call_id, "action": action}:
            wanted = {key: value for key, value in action.items() if value is not None}
            yield ToolCall(call_id, SHELL, wanted)
        case {"type": "shell_call_output", "call_id": call_id, "output": outputs}:
            commands = [_command(output) for output in outputs]
            yield ToolResultItem(
                call_id, SHELL, commands, max_output_length=item.get("max_output_length")
            )
        case {"type": kind} if kind == CODE_CALL:
            yield from _code(item)
        case {"type": "file_search_call", "id": str() as item_id, "queries": queries}:
            call_id = _call_id(item_id)
            yield ToolCall(call_id, FILE_SEARCH, {"queries": queries})
            text = results_text(known_results(item.get("results")))
            yield ToolResultItem(call_id, FILE_SEARCH, text=text)
        case _:
            yield from _native(item)


def _pictures(output: str | Sequence[ApiItem]) -> list[str]:
    """Of a function's result, their addresses."""
    parts = () if isinstance(output, str) else output
    return [str(part["image_url"]) for part in parts if part["type"] == "input_image"]


def _by_one_name(item: ApiItem) -> ApiItem:
    """A call of a function within a namespace, as the model made it."""
    space = item.get("namespace")
    if not space or item["type"] not in ("function_call", "custom_tool_call"):
        return item
    plain = {key: value for key, value in item.items() if key != "namespace"}
    return {**plain, "name": name_within(space, item["name"])}


def _uncited(message: ApiItem) -> dict[str, Any]:
    """No endpoint knows the files that are kept here."""
    content = message["content"]
    if isinstance(content, str):
        return dict(message)
    parts = [
        {**part, "annotations": [a for a in part["annotations"] if a.get("type") not in CITATIONS]}
        if part["type"] == "output_text" and part.get("annotations")
        else part
        for part in content
    ]
    return {**message, "content": parts}


def _call_id(item_id: str) -> str:
    """Of a call that has no other name than its item's."""
    if len(item_id) <= MAX_CALL_ID:
        return item_id
    return f"call_{uuid.uuid5(uuid.NAMESPACE_OID, item_id).hex}"


def _code(item: ApiItem) -> Iterable[Item]:
    """Call and result are one item, which has no other name than its id."""
    call_id = _call_id(str(item["id"]))
    code = str(item.get("code") or "")
    yield ToolCall(call_id, PYTHON, {"code": code})
    outputs = item.get("outputs")
    if outputs is None:
        yield ToolResultItem(call_id, PYTHON, text="(The output was not sent along.)")
        return
    logs = "\n".join(str(one.get("logs", "")) for one in outputs if one.get("type") == "logs")
    images = [str(one.get("url", "")) for one in outputs if one.get("type") == "image"]
    ran = CommandResult(code, logs, "", {"kind": "exit", "exit_code": 0})
    yield ToolResultItem(call_id, PYTHON, [ran], images=images)


def _native(item: ApiItem) -> Iterable[Item]:
    """Of tools that are no functions: they go back to the endpoint as they came."""
    match item:
        case {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": given}:
            yield ToolCall(call_id, name, {"input": given}, raw=dict(item))
        case {"type": "custom_tool_call_output", "call_id": call_id, "output": output}:
            yield ToolResultItem(
                call_id, "", text=text_of(output), raw=dict(item), images=_pictures(output)
            )
        case {"type": "tool_search_call", "call_id": str() as call_id, "arguments": given}:
            arguments = given if isinstance(given, dict) else {}
            yield ToolCall(call_id, TOOL_SEARCH, arguments, raw=dict(item))
        case {"type": "tool_search_output", "call_id": str() as call_id, "tools": tools}:
            yield ToolResultItem(call_id, TOOL_SEARCH, text=json.dumps(tools), raw=dict(item))
        case {"type": "apply_patch_call", "call_id": call_id, "operation": operation}:
            yield ToolCall(call_id, APPLY_PATCH, dict(operation), raw=dict(item))
        case {"type": "apply_patch_call_output", "call_id": call_id, "status": status}:
            told = f"{status}\n{item.get('output') or ''}".strip()
            yield ToolResultItem(call_id, APPLY_PATCH, text=told, raw=dict(item))


def _part(part: Mapping[str, Any], *, has_container: bool) -> dict[str, Any]:
    name = part.get("filename") or "file"
    if part["type"] == "input_file" and not has_container and part.get("file_id"):
        # It is kept here, where no endpoint finds it, and was put into a container before.
        return {"type": "input_text", "text": f"[The file {name}, which is not at hand now]"}
    if part["type"] != "input_file" or not has_container:
        return dict(part)
    return {"type": "input_text", "text": f"[The file /workspace/{name}]"}


def _command(output: Mapping[str, Any]) -> CommandResult:
    outcome = output["outcome"]
    ending = {"kind": outcome["type"]}
    if outcome["type"] == "exit":
        ending["exit_code"] = outcome["exit_code"]
    return CommandResult("", output["stdout"], output["stderr"], ending)


def functions_found(items: Iterable[ApiItem]) -> list[dict[str, Any]]:
    """Functions that the program's own search for tools brought up."""
    found = []
    for item in items:
        if item["type"] == "tool_search_output":
            for tool in item["tools"]:
                found += tools_apart(_functions(tool))
    return list({one["name"]: one for one in found}.values())


def _functions(tool: Any) -> Iterable[dict[str, Any]]:
    match tool:
        case {"type": "namespace", "name": str(), "tools": list(inner)}:
            yield {**tool, "tools": [one for one in inner if is_function(one)]}
        case _ if is_function(tool):
            yield tool


def is_function(tool: Any) -> bool:
    """Of what a program sends as a tool that it found."""
    return (
        isinstance(tool, dict)
        and tool.get("type") == "function"
        and isinstance(tool.get("name"), str)
        and isinstance(tool.get("description"), str | None)
        and isinstance(tool.get("parameters"), dict | None)
    )
