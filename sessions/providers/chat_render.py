"""The answer of any provider as a chat completion."""

import json
import time
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from sessions.errors import ProviderError
from sessions.providers.base import (
    AssistantMessage,
    Delta,
    Finished,
    ItemDone,
    ModelRequest,
    Provider,
    Retrying,
    TextDelta,
    ToolCall,
)
from sessions.providers.chat_answer import (
    DONE,
    Answer,
    ChatRefusalError,
    Piece,
    frame,
    usage_of,
)
from sessions.providers.tool_arguments import arguments_text

_FINISH_REASONS = {"length": "length", "content_filter": "content_filter"}


@dataclass(slots=True)
class _Rendering:
    """One choice as it grows."""

    model: str
    wants_usage: bool
    known: frozenset[str]
    """Names of the tools that the program declared."""
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    text: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    finished: Finished | None = None

    def feed(self, delta: Delta) -> Iterator[dict[str, Any]]:
        """The chunks that say it."""
        match delta:
            case TextDelta(text) if text:
                if not self.text:
                    yield self._chunk({"role": "assistant", "content": ""})
                self.text += text
                yield self._chunk({"content": text})
            case ItemDone(AssistantMessage(text)) if not self.text and text:
                yield from self.feed(TextDelta(text))
            case ItemDone(ToolCall() as call) if call.name in self.known:
                yield self._chunk(self._call(call))
            case Finished():
                self.finished = delta
                yield self._chunk({}, self.finish_reason)
                if self.wants_usage:
                    yield {**self._chunk({}), "choices": [], "usage": self._usage()}

    def _call(self, call: ToolCall) -> dict[str, Any]:
        function = {"name": call.name, "arguments": arguments_text(call.arguments)}
        made = {"id": call.tool_call_id, "type": "function", "function": function}
        self.calls.append(made)
        delta: dict[str, Any] = {"tool_calls": [{"index": len(self.calls) - 1, **made}]}
        if len(self.calls) == 1 and not self.text:
            delta = {"role": "assistant", "content": None, **delta}
        return delta

    @property
    def finish_reason(self) -> str:
        reason = self.finished.stop_reason if self.finished else "end"
        return _FINISH_REASONS.get(reason, "tool_calls" if self.calls else "stop")

    def _usage(self) -> dict[str, Any]:
        finished = self.finished or Finished()
        return usage_of(finished.input_tokens, finished.output_tokens)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage: dict[str, Any] = {"usage": None} if self.wants_usage else {}
        return {**self._head("chat.completion.chunk"), "choices": [choice], **usage}

    def answer(self) -> Answer:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": self.text or (None if self.calls else ""),
            "refusal": None,
        }
        if self.calls:
            message["tool_calls"] = self.calls
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self.finish_reason,
        }
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}


async def rendered(
    provider: Provider, request: ModelRequest, *, is_stream: bool, wants_usage: bool
) -> AsyncGenerator[Piece, None]:
    """Raises, from the iterator: ChatRefusalError."""
    known = frozenset(tool.name for tool in request.tools)
    choice = _Rendering(provider.model, is_stream and wants_usage, known)
    try:
        async with aclosing(provider.stream(request)) as deltas:  # type: ignore[type-var]  # a generator
            async for delta in deltas:
                if isinstance(delta, Retrying):
                    if is_stream and choice.text:
                        raise _broken_off(delta)
                    choice = _Rendering(provider.model, is_stream and wants_usage, known)
                chunks = list(choice.feed(delta))
                data = b"".join(frame(chunk) for chunk in chunks) if is_stream else b""
                if _is_shown(delta, known):
                    yield Piece(data, [delta])
                elif data:
                    yield Piece(data)
    except ProviderError as error:
        raise refusal_of(error) from error
    answer = choice.answer()
    yield Piece(DONE if is_stream else json.dumps(answer).encode(), answer=answer)


def _is_shown(delta: Delta, known: frozenset[str]) -> bool:
    is_foreign = isinstance(delta, ItemDone) and isinstance(delta.item, ToolCall)
    return not (is_foreign and delta.item.name not in known)  # type: ignore[union-attr]  # a call


def _broken_off(retrying: Retrying) -> ChatRefusalError:
    """What was sent cannot be taken back."""
    return ChatRefusalError(502, f"The model's answer broke off: {retrying.reason}")


def refusal_of(error: ProviderError) -> ChatRefusalError:
    return ChatRefusalError(
        error.status, error.message, param=error.param, code=error.code, hint=error.hint
    )
