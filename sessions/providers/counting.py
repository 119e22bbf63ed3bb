"""How many tokens a request is, where the endpoint does not tell.

An estimate: tokenizers differ, and most are not to be had. English text and code have three to
five bytes a token.
"""

import json
import math
from collections.abc import Iterable, Sequence

from sessions.providers.base import (
    AssistantMessage,
    Compacted,
    Item,
    ModelRequest,
    Reasoning,
    ToolCall,
    ToolResultItem,
    ToolSpec,
    UserMessage,
)
from sessions.providers.conversation import result_text

BYTES_PER_TOKEN = 4.0
ITEM_TOKENS = 4
"""What marks an item's beginning and end."""
IMAGE_TOKENS = 1000
"""About what an image is, whatever its size in bytes."""


def estimated_tokens(request: ModelRequest) -> int:
    return (
        _tokens(request.instructions)
        + items_tokens(request.items)
        + sum(_of_tool(tool) for tool in request.tools)
    )


def items_tokens(items: Iterable[Item]) -> int:
    return sum(ITEM_TOKENS + _of_item(item) for item in items)


def _tokens(text: str) -> int:
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def _of_item(item: Item) -> int:
    match item:
        case UserMessage(text, _, parts):
            return _tokens(text) + _of_parts(parts or ())
        case AssistantMessage(text) | Reasoning(text) | Compacted(text):
            return _tokens(text)
        case ToolCall():
            return _tokens(item.name + json.dumps(item.arguments, ensure_ascii=False))
        case ToolResultItem():
            return _tokens(result_text(item))


def _of_parts(parts: Sequence[dict[str, object]]) -> int:
    """But for their text, which was counted."""
    images = sum(part.get("type") == "input_image" for part in parts)
    files = sum(len(str(part.get("file_data") or "")) for part in parts)
    # In base64; what the endpoint makes of a file is about its text.
    return images * IMAGE_TOKENS + math.ceil(files * 3 / 4 / BYTES_PER_TOKEN)


def _of_tool(tool: ToolSpec) -> int:
    native = tool.native or {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return ITEM_TOKENS + _tokens(json.dumps(native, ensure_ascii=False))
