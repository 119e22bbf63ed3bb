"""Put the events of a Responses stream together.

Events are read as JSON objects, so that fields a newer API adds are kept and those an older server
leaves out do not matter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sessions.providers.base import (
    AssistantMessage,
    Delta,
    Finished,
    ItemDone,
    Reasoning,
    ReasoningDelta,
    TextDelta,
    ToolCall,
)
from sessions.providers.patches import APPLY_PATCH
from sessions.providers.tool_arguments import parse_arguments

_TEXT_EVENTS = {"response.output_text.delta", "response.refusal.delta"}
_REASONING_EVENTS = {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}
CALLS = {
    "shell_call",
    "function_call",
    "custom_tool_call",
    "tool_search_call",
    "apply_patch_call",
}
_TERMINAL_EVENTS = {"response.completed", "response.incomplete", "response.failed"}


@dataclass(slots=True)
class ResponsesReply:
    """Feed events, then ask for `failure` and the whole items."""

    response: dict[str, Any] | None = None
    """Of the terminal event; None until it came."""
    failure: dict[str, Any] | None = None
    """What an `error` event or a failed response says: `{code, message, …}`."""
    _items: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By output index."""

    def feed(self, event: Mapping[str, Any]) -> Iterator[Delta]:
        kind = event.get("type")
        index = int(event.get("output_index") or 0)
        if kind in _TEXT_EVENTS:
            yield TextDelta(str(event.get("delta") or ""), index)
        elif kind in _REASONING_EVENTS:
            yield ReasoningDelta(str(event.get("delta") or ""), index)
        elif kind == "response.reasoning_summary_part.added" and event.get("summary_index"):
            yield ReasoningDelta("\n\n", index)
        elif kind == "response.output_item.done":
            self._items[index] = event["item"]
        elif kind == "error":
            nested = event.get("error")
            self.failure = dict(nested if isinstance(nested, Mapping) else event)
            if self.failure.get("type") == "error":
                del self.failure["type"]
        elif kind in _TERMINAL_EVENTS:
            self._end(event.get("response") or {})

    def _end(self, response: dict[str, Any]) -> None:
        self.response = response
        if response.get("status") == "failed":
            self.failure = response.get("error") or self.failure or {"message": "no reason given"}
        if not self._items:
            # Servers may leave the single events out and send all items at the end.
            self._items = dict(enumerate(response.get("output") or ()))

    def ending(self) -> Iterator[Delta]:
        has_calls = False
        for index in sorted(self._items):
            item = to_item(self._items[index])
            if item is not None:
                has_calls = has_calls or isinstance(item, ToolCall)
                yield ItemDone(item, index)
        usage = (self.response or {}).get("usage") or {}
        yield Finished(
            input_tokens=int(usage.get("input_tokens") or 0),
            output_tokens=int(usage.get("output_tokens") or 0),
            stop_reason=self._stop_reason(has_calls=has_calls),
        )

    def _stop_reason(
        self, *, has_calls: bool
    ) -> Literal["end", "tool_calls", "length", "content_filter"]:
        response = self.response or {}
        if response.get("status") == "incomplete":
            reason = (response.get("incomplete_details") or {}).get("reason")
            return "content_filter" if reason == "content_filter" else "length"
        return "tool_calls" if has_calls else "end"


def to_item(raw: dict[str, Any]) -> AssistantMessage | Reasoning | ToolCall | None:
    """None for kinds that were not asked for, and for calls that were cut off."""
    match raw:
        case {"type": "message"}:
            return AssistantMessage(_message_text(raw), raw=raw)
        case {"type": "reasoning"}:
            return Reasoning(_reasoning_text(raw), raw=raw)
        case {"type": str() as kind, "status": "incomplete" | "in_progress"} if kind in CALLS:
            return None
        case {"type": "shell_call", "call_id": str() as call_id, "action": dict() as action}:
            arguments = {"commands": list(action.get("commands") or ())}
            for name in ("timeout_ms", "max_output_length"):
                if action.get(name) is not None:
                    arguments[name] = action[name]
            return ToolCall(call_id, "shell", arguments, raw=raw)
        case {"type": "function_call", "call_id": str() as call_id, "name": str() as name}:
            return ToolCall(
                call_id, name, parse_arguments(name, raw.get("arguments") or ""), raw=raw
            )
        case _:
            return _native_item(raw)


def _native_item(raw: dict[str, Any]) -> ToolCall | None:
    """Of tools that the caller runs and that are no functions."""
    match raw:
        case {"type": "custom_tool_call", "call_id": str() as call_id, "name": str() as name}:
            return ToolCall(call_id, name, {"input": str(raw.get("input") or "")}, raw=raw)
        case {"type": "tool_search_call", "call_id": str() as call_id, "execution": "client"}:
            found = raw.get("arguments")
            return ToolCall(
                call_id, "tool_search", found if isinstance(found, dict) else {}, raw=raw
            )
        case {
            "type": "apply_patch_call",
            "call_id": str() as call_id,
            "operation": dict() as operation,
        }:
            return ToolCall(call_id, APPLY_PATCH, operation, raw=raw)
        case _:
            return None


def _message_text(raw: dict[str, Any]) -> str:
    return "".join(
        str(part.get("text") or part.get("refusal") or "") for part in raw.get("content") or ()
    )


def _reasoning_text(raw: dict[str, Any]) -> str:
    parts = [*(raw.get("summary") or ()), *(raw.get("content") or ())]
    return "\n\n".join(str(part.get("text") or "") for part in parts)
