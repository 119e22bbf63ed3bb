"""Conversations that programs send whole each time: which of them go on from which.

Messages are those of the Chat Completions API, as they were sent.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]

MAX_SHOWN_MESSAGES = 60
MAX_SHOWN_CHARACTERS = 20_000
"""Of one message."""
_CALLS = ("tool_calls", "function_call")


def text_of(content: Any) -> str:
    """What of a message's content is text; other parts are named."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(_part_text(part) for part in content if isinstance(part, Mapping))


def _part_text(part: Mapping[str, Any]) -> str:
    text = part.get("text") or part.get("refusal")
    return text if isinstance(text, str) else f"[{part.get('type', 'part')}]"


def digests(messages: Sequence[Message]) -> list[str]:
    """One for each beginning of the conversation, of the first message, the first two, and so on.

    What clients add to or leave out of an answer when they send it back makes no difference.
    """
    found = []
    running = hashlib.sha256(b"conversation")
    for message in messages:
        running.update(_canonical(message))
        found.append(running.hexdigest())
    return found


def _canonical(message: Message) -> bytes:
    role = message.get("role")
    kept: dict[str, Any] = {"role": "system" if role == "developer" else role}
    content = message.get("content")
    is_text = not isinstance(content, list) or all(
        isinstance(part, Mapping) and part.get("type") in ("text", "refusal") for part in content
    )
    text = (text_of(content) or str(message.get("refusal") or "")).strip()
    kept["content"] = text if is_text else content
    for name in (*_CALLS, "tool_call_id", "name"):
        if message.get(name):
            kept[name] = _call_parts(message[name]) if name == "tool_calls" else message[name]
    encoded = json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(encoded).digest()


def _call_parts(calls: Any) -> list[Any]:
    """Clients send back what they made of them as well: numbers, parsed arguments."""
    if not isinstance(calls, list):
        return []
    parts = []
    for call in calls:
        made = call.get("function") or call.get("custom") or {}
        parts.append([call.get("id"), *map(made.get, ("name", "arguments", "input"))])
    return parts


def last_said(messages: Sequence[Message]) -> str:
    """The text of the last message if it is the user's, else nothing."""
    if messages and messages[-1].get("role") == "user":
        return text_of(messages[-1].get("content"))
    return ""


def first_said(messages: Sequence[Message]) -> str:
    """What the conversation is about."""
    for message in messages:
        if message.get("role") == "user" and (text := text_of(message.get("content"))).strip():
            return text
    return ""


def shown(messages: Sequence[Message]) -> tuple[list[dict[str, str]], int]:
    """For a person who watches: the messages beside that of the user at the end, and how many at
    the beginning are left out."""
    others = messages[:-1] if messages and messages[-1].get("role") == "user" else messages
    left_out = max(0, len(others) - MAX_SHOWN_MESSAGES)
    return [_shown(message) for message in others[left_out:]], left_out


def _shown(message: Message) -> dict[str, str]:
    text = text_of(message.get("content"))
    for call in message.get("tool_calls") or ():
        function = call.get("function") or call.get("custom") or {}
        given = function.get("arguments") or function.get("input") or ""
        text += f"\n{function.get('name', '')}({given})"
    text = text.strip()
    if len(text) > MAX_SHOWN_CHARACTERS:
        left = len(text) - MAX_SHOWN_CHARACTERS
        text = f"{text[:MAX_SHOWN_CHARACTERS]}\n… {left:,} more characters"
    fields = {"role": str(message.get("role")), "text": text}
    if message.get("tool_call_id"):
        fields["tool_call_id"] = str(message["tool_call_id"])[:200]
    return fields
