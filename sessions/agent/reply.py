"""Ask the model once and record its answer while it comes."""

import dataclasses
import re
import uuid
from contextlib import aclosing
from dataclasses import dataclass, field

from sessions.agent.citations import with_citations
from sessions.agent.limits import RepeatedItself
from sessions.agent.stop import StopSignal
from sessions.agent.tools.base import Recorder, ToolContext
from sessions.events.types import (
    MessageDelta,
    MessageDone,
    Notice,
    ProviderRetry,
    StepEnded,
    StepStarted,
)
from sessions.providers.base import (
    AssistantMessage,
    Delta,
    Finished,
    Item,
    ItemDone,
    ModelRequest,
    Provider,
    Reasoning,
    ReasoningDelta,
    Retrying,
    TextDelta,
    ToolCall,
    item_to_json,
)

PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(slots=True)
class Reply:
    """What the model said in one step."""

    items: list[Item] = field(default_factory=list)
    tokens: int = 0
    output_tokens: int = 0


class Listener:
    """Turns the deltas of one request into events and, at the end, into a `Reply`."""

    def __init__(self, recorder: Recorder, turn: int, step: int, used_ids: set[str]) -> None:
        self._recorder = recorder
        self._used_ids = used_ids
        self._turn = turn
        self._step = step
        self._fresh()
        self.finished: Finished | None = None

    def _fresh(self) -> None:
        self.items: list[Item] = []
        self._ids: dict[tuple[str, int], str] = {}

    def _id(self, kind: str, index: int) -> str:
        """Of the message that is being said."""
        if (kind, index) not in self._ids:
            self._ids[kind, index] = uuid.uuid4().hex
        return self._ids[kind, index]

    async def take(self, delta: Delta) -> None:
        match delta:
            case TextDelta(text, index):
                await self._recorder.record(MessageDelta(self._id("text", index), "text", text))
            case ReasoningDelta(text, index):
                message_id = self._id("reasoning", index)
                await self._recorder.record(MessageDelta(message_id, "reasoning", text))
            case Retrying(attempt, wait_s, reason):
                self._fresh()
                await self._recorder.record(
                    ProviderRetry(attempt, wait_s, reason), StepStarted(self._turn, self._step)
                )
            case ItemDone(ToolCall() as call):
                self.items.append(_with_own_id(call, self._used_ids))
            case ItemDone(item, index):
                self.items.append(item)
                await self._done(item, index)
            case Finished():
                self.finished = delta

    async def _done(self, item: Item, index: int) -> None:
        match item:
            case AssistantMessage(text) if text:
                message_id = self._id("text", index)
                await self._recorder.record(MessageDone(message_id, "text", text))
                del self._ids["text", index]
            case Reasoning(text) if text:
                message_id = self._id("reasoning", index)
                await self._recorder.record(MessageDone(message_id, "reasoning", text))
                del self._ids["reasoning", index]


def _with_own_id(call: ToolCall, used_ids: set[str]) -> ToolCall:
    """Ids name commands for the life of a session; some endpoints count from 0 each time."""
    if not PLAIN_ID.fullmatch(call.tool_call_id) or call.tool_call_id in used_ids:
        call = dataclasses.replace(call, tool_call_id=f"call_{uuid.uuid4().hex}", raw=None)
    used_ids.add(call.tool_call_id)
    return call


async def ask(
    provider: Provider,
    request: ModelRequest,
    context: ToolContext,
    *,
    turn: int,
    step: int,
    used_ids: frozenset[str] = frozenset(),
) -> Reply:
    """Raises: the TurnEnd that `context.stop` was set with, RepeatedItself, ProviderError."""
    recorder = context.recorder
    await recorder.record(StepStarted(turn, step))
    used = {item.tool_call_id for item in request.items if isinstance(item, ToolCall)}
    listener = Listener(recorder, turn, step, used | used_ids)
    await _listen_until_stopped(provider, request, listener, context.stop)
    finished = listener.finished or Finished()
    listener.items = [await with_citations(item, context) for item in listener.items]
    await recorder.record(
        StepEnded(
            turn=turn,
            step=step,
            items=[item_to_json(item) for item in listener.items],
            input_tokens=finished.input_tokens,
            output_tokens=finished.output_tokens,
        )
    )
    if finished.stop_reason == "repeated":
        raise RepeatedItself(finished.note or "The model repeated itself.")
    if finished.stop_reason in {"length", "content_filter"} or finished.note:
        note = finished.note or f"The model's answer was cut ({finished.stop_reason})."
        await recorder.record(Notice("warning", note, code=finished.stop_reason))
    tokens = finished.input_tokens + finished.output_tokens
    return Reply(listener.items, tokens, finished.output_tokens)


async def _listen_until_stopped(
    provider: Provider, request: ModelRequest, listener: Listener, stop: StopSignal
) -> None:
    async def listen() -> None:
        stream = provider.stream(request)
        async with aclosing(stream):  # type: ignore[type-var]  # every provider is a generator
            async for delta in stream:
                await listener.take(delta)

    await stop.cutting(listen())
