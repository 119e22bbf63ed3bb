"""Put the chunks of a Chat Completions stream together, as the servers in use send them."""

import uuid
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
from sessions.providers.chat_messages import REASONING_FIELD
from sessions.providers.tool_arguments import parse_arguments

StopReason = Literal["end", "tool_calls", "length", "content_filter"]
_STOP_REASONS: dict[str, StopReason] = {"length": "length", "content_filter": "content_filter"}


@dataclass(slots=True)
class _CallParts:
    call_id: str
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class ChatReply:
    """Feed chunks as JSON objects, then take the whole items. Missing fields are tolerated."""

    text: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    _reasoning_field: str = ""
    _calls: list[_CallParts] = field(default_factory=list)
    _open: dict[int, _CallParts] = field(default_factory=dict)
    """By the index the server gave it: the call that fragments with that index belong to."""

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.reasoning or self._calls)

    def feed(self, chunk: Mapping[str, Any]) -> Iterator[Delta]:
        match chunk.get("usage"):
            case {"prompt_tokens": int() as used, "completion_tokens": int() as made}:
                self.input_tokens, self.output_tokens = used, made
        match chunk.get("timings"):
            # llama-server counts in every chunk, so that a stream that is cut has figures too.
            case {"cache_n": int() as known, "prompt_n": int() as read, "predicted_n": int() as n}:
                self.input_tokens, self.output_tokens = known + read, n
        for choice in chunk.get("choices") or ():
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            yield from self._feed_delta(choice.get("delta") or {})

    def _feed_delta(self, delta: Mapping[str, Any]) -> Iterator[Delta]:
        for name in (REASONING_FIELD, "reasoning"):
            thought = delta.get(name)
            if isinstance(thought, str) and thought:
                self._reasoning_field = name
                self.reasoning += thought
                yield ReasoningDelta(thought)
                break
        said = delta.get("content") or delta.get("refusal")
        if isinstance(said, str) and said:
            self.text += said
            yield TextDelta(said)
        for position, fragment in enumerate(delta.get("tool_calls") or ()):
            self._feed_call(fragment, position)

    def _feed_call(self, fragment: Mapping[str, Any], position: int) -> None:
        function = fragment.get("function") or {}
        index = fragment.get("index")
        index = position if not isinstance(index, int) else index
        call_id = fragment.get("id") or ""
        call = self._open.get(index)
        # Some servers number every call 0; another id tells them apart.
        if call is None or (call_id and function.get("name") and call_id != call.call_id):
            call = _CallParts(call_id or f"call_{uuid.uuid4().hex[:24]}")
            self._open[index] = call
            self._calls.append(call)
        call.name = call.name or function.get("name") or ""
        arguments = function.get("arguments")
        call.arguments += arguments if isinstance(arguments, str) else ""

    def items(self) -> Iterator[AssistantMessage | Reasoning | ToolCall]:
        if self.reasoning:
            yield Reasoning(self.reasoning, raw={"field": self._reasoning_field})
        if self.text:
            yield AssistantMessage(self.text)
        # A call whose arguments were cut off must not run.
        if self.finish_reason not in _STOP_REASONS:
            for call in self._calls:
                arguments = parse_arguments(call.name, call.arguments)
                yield ToolCall(call.call_id, call.name, arguments)

    def message(self) -> dict[str, Any]:
        """As the program that asked would put it together, arguments as the model wrote them."""
        calls = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in self._calls
        ]
        thoughts = {self._reasoning_field: self.reasoning} if self.reasoning else {}
        return {
            "role": "assistant",
            "content": self.text or (None if calls else ""),
            "refusal": None,
            **({"tool_calls": calls} if calls else {}),
            **thoughts,
        }

    def ending(self) -> Iterator[Delta]:
        has_calls = False
        for item in self.items():
            has_calls = has_calls or isinstance(item, ToolCall)
            yield ItemDone(item)
        ordinary: StopReason = "tool_calls" if has_calls else "end"
        yield Finished(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            stop_reason=_STOP_REASONS.get(self.finish_reason, ordinary),
        )
