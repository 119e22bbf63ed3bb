"""What a model said and what came of its calls, as items that programs get."""

import json
import shlex
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sessions.providers.base import ToolCall, ToolResultItem
from sessions.providers.responses_input import shell_output
from sessions.providers.tool_arguments import arguments_text
from sessions.responses.ids import own_item_id

Fields = dict[str, Any]
RUN_FILE = "run_file"


@dataclass(frozen=True, slots=True)
class Origin:
    """The response that items come from, and the session it is a turn of."""

    response_id: uuid.UUID
    session_id: uuid.UUID

    def id_of(self, kind: str, name: str) -> str:
        """The same whenever it is asked for: the items of a response are made from its log again
        and again."""
        number = uuid.uuid5(self.response_id, f"{kind} {name}")
        return own_item_id(kind, self.session_id, number)


def message(
    identifier: str,
    text: str,
    *,
    status: str,
    raw: Mapping[str, Any] | None,
    annotations: Sequence[Fields] = (),
) -> Fields:
    """`raw` is the item as an endpoint gave it, which may know more of it."""
    parts = [_text_part(text)]
    more: Fields = {}
    if raw and raw.get("type") == "message" and raw.get("content"):
        parts = [_part(part) for part in raw["content"]]
        more = {"phase": raw["phase"]} if raw.get("phase") else {}
    if len(parts) == 1 and "annotations" in parts[0]:
        parts[0]["annotations"] = [*parts[0]["annotations"], *annotations]
    return {
        "id": identifier,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": parts,
        **more,
    }


def _text_part(text: str) -> Fields:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _part(part: Mapping[str, Any]) -> Fields:
    if part.get("type") == "output_text":
        known = {key: value for key, value in part.items() if value is not None}
        return {**_text_part(""), **known}
    return dict(part)


def reasoning(
    identifier: str,
    text: str,
    *,
    status: str,
    raw: Mapping[str, Any] | None,
) -> Fields:
    """What an endpoint encrypted comes along, for it wants it back."""
    fields: Fields = {
        "id": identifier,
        "type": "reasoning",
        "status": status,
        "summary": [{"type": "summary_text", "text": text}] if text else [],
    }
    if raw and raw.get("encrypted_content"):
        fields["encrypted_content"] = raw["encrypted_content"]
    return fields


def function_call(identifier: str, call: ToolCall, *, status: str) -> Fields:
    raw = call.raw or {}
    arguments = raw.get("arguments") if raw.get("type") == "function_call" else None
    return {
        "id": identifier,
        "type": "function_call",
        "status": status,
        "call_id": call.tool_call_id,
        "name": call.name,
        "arguments": arguments if isinstance(arguments, str) else arguments_text(call.arguments),
    }


def custom_tool_call(identifier: str, call: ToolCall) -> Fields:
    given = call.arguments.get("input")
    return {
        "id": identifier,
        "type": "custom_tool_call",
        "call_id": call.tool_call_id,
        "name": call.name,
        "input": given if isinstance(given, str) else arguments_text(call.arguments),
    }


def tool_search_call(identifier: str, call: ToolCall, *, status: str) -> Fields:
    return {
        "id": identifier,
        "type": "tool_search_call",
        "status": status,
        "call_id": call.tool_call_id,
        "execution": "client",
        "arguments": call.arguments,
    }


def apply_patch_call(identifier: str, call: ToolCall, operation: Mapping[str, str]) -> Fields:
    return {
        "id": identifier,
        "type": "apply_patch_call",
        "status": "completed",
        "call_id": call.tool_call_id,
        "operation": dict(operation),
    }


def compaction(identifier: str, content: str) -> Fields:
    return {"id": identifier, "type": "compaction", "encrypted_content": content}


def shell_call(identifier: str, call: ToolCall, *, container_id: str | None) -> Fields:
    return {
        "id": identifier,
        "type": "shell_call",
        "status": "completed",
        "call_id": call.tool_call_id,
        "action": {
            "commands": commands_of(call),
            "timeout_ms": whole_number(call, "timeout_ms"),
            "max_output_length": whole_number(call, "max_output_length"),
        },
        "environment": environment(container_id),
    }


def whole_number(call: ToolCall, name: str) -> int | None:
    """None for what a model made up instead."""
    value = call.arguments.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def environment(container_id: str | None) -> Fields:
    if container_id is None:
        return {"type": "local"}
    return {"type": "container_reference", "container_id": container_id}


def commands_of(call: ToolCall) -> list[str]:
    """The commands of a call; one that saves files first reads as a command that does."""
    if call.name == RUN_FILE:
        more = call.arguments.get("files")
        files = [*(more if isinstance(more, list) else ()), call.arguments]
        saved = [_saved(file) for file in files if isinstance(file, Mapping)]
        return ["".join(saved) + str(call.arguments.get("command", ""))]
    commands = call.arguments.get("commands")
    if not isinstance(commands, list):
        return []
    return [one if isinstance(one, str) else json.dumps(one) for one in commands]


def _saved(file: Mapping[str, Any]) -> str:
    content = str(file.get("content", ""))
    mark = "EOF"
    while mark in content:
        mark += "_"
    end = "" if content.endswith("\n") else "\n"
    return f"cat > {shlex.quote(str(file.get('path', '')))} <<'{mark}'\n{content}{end}{mark}\n"


def shell_call_output(identifier: str, result: ToolResultItem, call: ToolCall) -> Fields:
    return {"id": identifier, "status": "completed", **shell_output(result, call)}
