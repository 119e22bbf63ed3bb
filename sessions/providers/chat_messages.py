"""Conversation items as Chat Completions messages."""

from collections.abc import Sequence
from typing import Any

from sessions.providers.base import (
    AssistantMessage,
    Compacted,
    Item,
    ModelOptions,
    ModelRequest,
    Reasoning,
    ToolCall,
    ToolResultItem,
    ToolSpec,
    UserMessage,
)
from sessions.providers.conversation import result_text, with_paired_calls
from sessions.providers.tool_arguments import arguments_text

Message = dict[str, Any]
REASONING_FIELD = "reasoning_content"


def chat_messages(request: ModelRequest) -> list[Message]:
    messages: list[Message] = []
    if request.instructions:
        messages.append({"role": "system", "content": request.instructions})
    items = with_paired_calls(request.items)
    turn_starts = max(
        (index for index, item in enumerate(items) if isinstance(item, UserMessage)), default=0
    )
    pictures: list[Message] = []
    for index, item in enumerate(items):
        if pictures and not isinstance(item, ToolResultItem):
            _said(messages, "user", pictures)
            pictures = []
        _add(messages, item, is_current=index > turn_starts)
        pictures += _pictures(item)
    if pictures:
        _said(messages, "user", pictures)
    return messages


def _pictures(item: Item) -> list[Message]:
    """Of a result that the caller made: results are text alone here, so they are shown behind all
    results of the same answer."""
    if not isinstance(item, ToolResultItem) or item.raw is None:
        return []
    return [{"type": "image_url", "image_url": {"url": url}} for url in item.images]


def _add(messages: list[Message], item: Item, *, is_current: bool) -> None:
    match item:
        case UserMessage(text, role, parts):
            content = [_part(part) for part in parts] if parts else text
            # Chat Completions servers know system; developer is a newer word for it.
            _said(messages, "user" if role == "user" else "system", content)
        case Compacted(text):
            _said(messages, "user", text)
        case AssistantMessage(text):
            message = _assistant(messages)
            message["content"] = (message["content"] or "") + text
        case ToolCall():
            _assistant(messages).setdefault("tool_calls", []).append(_call(item))
        case ToolResultItem():
            messages.append(
                {
                    "role": "tool",
                    "tool_call_id": item.tool_call_id,
                    "content": result_text(item),
                }
            )
        case Reasoning(text, raw):
            # Models that think between calls want this turn's thoughts back, none of earlier ones.
            if is_current and raw and raw.get("field") == REASONING_FIELD:
                message = _assistant(messages)
                message[REASONING_FIELD] = message.get(REASONING_FIELD, "") + text


def _said(messages: list[Message], role: str, content: str | list[dict[str, Any]]) -> None:
    """Texts of a user in a row are one message: chat templates of many models refuse two."""
    last = messages[-1] if messages else {}
    told = last.get("content")
    if role == "user" == last.get("role") and isinstance(told, str) and isinstance(content, str):
        last["content"] = f"{told}\n\n{content}"
    elif role == "user" == last.get("role"):
        last["content"] = [*_parts(told), *_parts(content)]
    else:
        messages.append({"role": role, "content": content})


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _part(part: dict[str, Any]) -> dict[str, Any]:
    match part:
        case {"type": "input_text", "text": text}:
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": url}:
            return {"type": "image_url", "image_url": {"url": url, "detail": part["detail"]}}
        case {"type": "input_file"}:
            names = ("file_id", "filename", "file_data")
            return {"type": "file", "file": {name: part[name] for name in names if part.get(name)}}
        case _:
            return {"type": "text", "text": str(part.get("text", ""))}


def _assistant(messages: list[Message]) -> Message:
    """The assistant message that is being put together; text, thoughts and calls share one."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    return messages[-1]


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.tool_call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments_text(call.arguments)},
    }


def chat_tools(tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                **({"strict": True} if tool.is_strict else {}),
            },
        }
        for tool in tools
    ]


def chat_options(options: ModelOptions) -> dict[str, Any]:
    """Fields of the request beside messages and tools."""
    text, reasoning = options.text or {}, options.reasoning or {}
    fields = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "max_completion_tokens": options.max_output_tokens,
        "parallel_tool_calls": options.parallel_tool_calls,
        "tool_choice": _tool_choice(options.tool_choice),
        "response_format": _response_format(text.get("format")),
        "verbosity": text.get("verbosity"),
        "reasoning_effort": reasoning.get("effort"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tool_choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if not isinstance(choice, dict):
        return choice
    return {"type": "function", "function": {"name": choice.get("name", choice.get("type"))}}


def _response_format(wanted: dict[str, Any] | None) -> dict[str, Any] | None:
    if not wanted or wanted.get("type") == "text":
        return None
    if wanted["type"] == "json_schema":
        schema = {key: value for key, value in wanted.items() if key != "type"}
        return {"type": "json_schema", "json_schema": schema}
    return {"type": wanted["type"]}
