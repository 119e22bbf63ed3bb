"""Conversation items as Chat Completions messages."""

from collections.abc import Sequence
from typing import Any

from sessions.providers.base import (
    AssistantMessage,
    Item,
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
    for index, item in enumerate(items):
        _add(messages, item, is_current=index > turn_starts)
    return messages


def _add(messages: list[Message], item: Item, *, is_current: bool) -> None:
    match item:
        case UserMessage(text):
            messages.append({"role": "user", "content": text})
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
            },
        }
        for tool in tools
    ]
