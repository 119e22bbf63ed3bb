"""Rebuild a session's conversation, and where a turn stands in it, from the log."""

import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from urllib.parse import unquote

from sessions.agent.loop import TurnState
from sessions.agent.tools.base import RecordedCall
from sessions.events import log
from sessions.events.types import (
    CallEnded,
    CallStarted,
    ContextCompacted,
    Output,
    OutputDropped,
    StepEnded,
    StoredEvent,
    ToolResult,
    TurnEnded,
    TurnQueued,
    TurnStarted,
)
from sessions.providers.base import Item, ToolCall, UserMessage, item_from_json
from sessions.responses.model_items import results_missing
from sessions.responses.sealed import SealBrokenError

_CALL_TYPES = ("call.started", "output", "output.dropped", "call.ended")
_TYPES = (
    "turn.queued",
    "turn.started",
    "turn.ended",
    "step.ended",
    "tool.result",
    "context.compacted",
)
Unseal = Callable[[str], list[Item]]


async def turn_state(
    session_id: uuid.UUID,
    turn: int,
    *,
    unseal: Unseal,
    goes_on_from: Sequence[Item] | None = None,
) -> TurnState:
    """Everything said up to now, with the steps and tokens of turn number `turn`. With
    `goes_on_from`, what the turn itself said behind those items. `unseal` opens what was compacted;
    what it cannot open is read as it was before."""
    events: list[StoredEvent] = []
    after = 0
    while batch := await log.read(session_id, after=after, types=_TYPES):
        events += batch
        after = batch[-1].seq
    return _replay(events, turn, goes_on_from, unseal)


def _replay(
    events: list[StoredEvent],
    turn: int,
    goes_on_from: Sequence[Item] | None,
    unseal: Unseal,
) -> TurnState:
    is_compacted = False
    messages: dict[int, str] = {}
    items: list[Item] = []
    step = tokens = output_tokens = 0
    called: list[str] = []
    used_ids: set[str] = set()
    for event in events:
        match event.body:
            case TurnQueued(number, text, files):
                messages[number] = user_text(text, files)
            case TurnStarted(number) if number == turn and goes_on_from is not None:
                items = list(goes_on_from)
            case TurnStarted(number):
                items.append(UserMessage(messages.get(number, "")))
            case TurnEnded():
                items += results_missing(items)
            case StepEnded() as ended:
                said = [item_from_json(item) for item in ended.items]
                items += said
                used_ids |= {item.tool_call_id for item in said if isinstance(item, ToolCall)}
                if ended.turn == turn:
                    step = ended.step
                    tokens += ended.input_tokens + ended.output_tokens
                    output_tokens += ended.output_tokens
                    called += [item.name for item in said if isinstance(item, ToolCall)]
            case ContextCompacted() as compacted:
                with suppress(SealBrokenError):
                    items = unseal(compacted.content)
                is_own = compacted.turn == turn
                is_compacted = is_compacted or is_own
                tokens += is_own * (compacted.input_tokens + compacted.output_tokens)
            case ToolResult(_, item):
                items.append(item_from_json(item))
    return TurnState(
        turn, items, step, tokens, output_tokens, called, frozenset(used_ids), is_compacted
    )


async def recorded_calls(session_id: uuid.UUID) -> dict[str, RecordedCall]:
    """What the log holds of the calls of the last step, by `call_id`."""
    last_step = after = 0
    while batch := await log.read(session_id, after=after, types=("step.ended",)):
        last_step = after = batch[-1].seq
    return await _calls(session_id, last_step)


async def calls_named(session_id: uuid.UUID, call_ids: Collection[str]) -> dict[str, RecordedCall]:
    """What the log holds of these calls, by `call_id`."""
    return await _calls(session_id, 0, call_ids=call_ids)


async def _calls(
    session_id: uuid.UUID, after: int, call_ids: Collection[str] | None = None
) -> dict[str, RecordedCall]:
    calls: dict[str, RecordedCall] = {}
    while batch := await log.read(session_id, after=after, types=_CALL_TYPES, call_ids=call_ids):
        after = batch[-1].seq
        for event in batch:
            match event.body:
                case CallStarted(call_id) as started:
                    calls.setdefault(call_id, RecordedCall(started.container_id))
                case Output(call_id) | OutputDropped(call_id) if call_id in calls:
                    calls[call_id].add(event.body)
                case CallEnded(call_id) if call_id in calls:
                    calls[call_id].ended = event.body
    return calls


def user_text(text: str, files: list[str]) -> str:
    """The message, with the names of the files that came with it."""
    if not files:
        return text
    names = "\n".join(f"- /workspace/{unquote(name, errors='replace')}" for name in files)
    return f"{text}\n\nFiles uploaded with this message:\n{names}"
