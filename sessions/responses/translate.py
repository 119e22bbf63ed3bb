"""From a session's log to the events of a response.

The same log makes the same events with the same numbers, whoever asks and however often: a program
that lost its stream gets the rest of it, and what a response came to is what its last event says.

The log has what a model said piece by piece, but its calls only once they are whole: a command
comes as one delta, its output as it is printed.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sessions.events.types import (
    CallEnded,
    CallStarted,
    ContextCompacted,
    EventBody,
    MessageDelta,
    Notice,
    Output,
    OutputDropped,
    SearchEnded,
    SearchStarted,
    StepEnded,
    StepStarted,
    StoredEvent,
    ToolResult,
    TurnEnded,
    TurnRemoved,
    TurnStarted,
)
from sessions.providers.base import AssistantMessage, Reasoning, ToolCall, item_from_json
from sessions.responses import output_items
from sessions.responses.calling import Calling
from sessions.responses.emitter import Emitter
from sessions.responses.included import all_shown
from sessions.responses.output_items import Fields, Origin
from sessions.responses.saying import Saying
from sessions.responses.searching import Searching

OUTCOME_TYPES = tuple(
    kind.type
    for kind in (
        TurnStarted,
        TurnRemoved,
        TurnEnded,
        StepStarted,
        StepEnded,
        ContextCompacted,
        MessageDelta,
        Notice,
        CallStarted,
        ToolResult,
        SearchStarted,
        SearchEnded,
    )
)
"""What of a log decides what a response comes to: all but what its commands print."""
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(frozen=True, slots=True)
class About:
    """What has to be known of a response to tell its events."""

    origin: Origin
    turn: int
    skeleton: Mapping[str, Any]
    """The response as it is given back, but for what comes of it."""
    callers_tools: Mapping[str, str]
    """The tools that the caller runs: name and kind; `shell` among them when it runs that."""
    container_id: str | None
    """Where commands run, as the API names it."""
    is_background: bool
    namespaces: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Of the caller's tools within one: namespace and name, by the name that the model knows."""
    code_container_id: str | None = None
    """Where code is interpreted."""
    include: Collection[str] = ()
    """What more than usual is told."""
    has_file_search: bool = False
    """Whether searches of files are run here."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a response came to."""

    status: Literal["completed", "incomplete", "failed", "cancelled"]
    output: list[Fields]
    input_tokens: int = 0
    output_tokens: int = 0
    error: Fields | None = None
    incomplete_reason: str = ""
    completed_at: int = 0
    """Seconds since 1970."""


class Translation:
    """Feed it the events behind the response's `first_seq`, in their order."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._emit = Emitter(about.include)
        self._searching = Searching(self._emit, about.origin)
        self._saying = Saying(self._emit, about.origin, self._searching.citations)
        self._calling = Calling(
            self._emit,
            about.origin,
            about.callers_tools,
            about.container_id,
            about.code_container_id,
            namespaces=about.namespaces,
            searching=self._searching if about.has_file_search else None,
        )
        self._has_begun = False
        self._cut = ""
        self.outcome: Outcome | None = None
        """Set with the last event."""

    def opening(self) -> Iterator[Fields]:
        first = "queued" if self._about.is_background else "in_progress"
        yield self._emit.event("response.created", response=self._response(first))
        if self._about.is_background:
            yield self._emit.event("response.queued", response=self._response(first))
        else:
            yield self._working()

    def _working(self) -> Fields:
        return self._emit.event("response.in_progress", response=self._response("in_progress"))

    def feed(self, event: StoredEvent) -> Iterator[Fields]:
        """Nothing more comes once `outcome` is set."""
        body, seconds = event.body, event.created_at_ms // 1000
        if self.outcome is not None:
            return
        if isinstance(body, TurnRemoved) and body.turn == self._about.turn:
            yield from self._end(Outcome("cancelled", [], completed_at=seconds))
        elif isinstance(body, TurnStarted):
            is_first = body.turn == self._about.turn and not self._has_begun
            self._has_begun = body.turn == self._about.turn
            if is_first and self._about.is_background:
                yield self._working()
        elif isinstance(body, TurnEnded) and body.turn == self._about.turn:
            yield from self._leave_open()
            yield from self._end(self._outcome_of(body, seconds))
        elif self._has_begun:
            yield from self._of_model(body)
            yield from self._of_call(body)

    def gone(self, completed_at: int) -> Iterator[Fields]:
        """The session was deleted before the turn had ended."""
        if self.outcome is None:
            yield from self._leave_open()
            output = self._emit.output
            yield from self._end(Outcome("cancelled", output, completed_at=completed_at))

    def told(self, outcome: Outcome) -> Iterator[Fields]:
        """In place of what was fed: its items as they were when it ended."""
        if self._about.is_background and not self._has_begun:
            yield self._working()
        for item in outcome.output:
            yield self._emit.added(item)
            yield self._emit.done(len(self._emit.output) - 1, item)
        yield from self._end(outcome)

    def _of_model(self, body: EventBody) -> Iterator[Fields]:
        match body:
            case StepStarted():
                yield from self._saying.leave_open()
            case MessageDelta(message_id, kind, text):
                yield from self._saying.delta(
                    "message" if kind == "text" else "reasoning", text, message_id
                )
            case StepEnded(items=items):
                for item in map(item_from_json, items):
                    if isinstance(item, AssistantMessage | Reasoning):
                        yield from self._saying.item(item)
                    elif isinstance(item, ToolCall):
                        yield from self._saying.leave_open()
                        yield from self._calling.call(item)
                yield from self._saying.leave_open()
            case ContextCompacted(content=content):
                yield from self._saying.leave_open()
                identifier = self._about.origin.id_of("compaction", str(len(self._emit.output)))
                made = output_items.compaction(identifier, content)
                yield self._emit.added(made)
                yield self._emit.done(len(self._emit.output) - 1, made)
            case Notice(code=code) if code in _INCOMPLETE:
                self._cut = _INCOMPLETE[code]

    def _of_call(self, body: EventBody) -> Iterator[Fields]:
        match body:
            case CallStarted():
                yield from self._calling.started(body)
            case Output(call_id, stream, _, content):
                yield from self._calling.printed(call_id, stream, content)
            case OutputDropped(call_id, stream):
                self._calling.skipped(call_id, stream)
            case CallEnded(call_id):
                for name in ("stdout", "stderr"):
                    yield from self._calling.printed(call_id, name, b"", is_last=True)
            case SearchStarted():
                yield from self._searching.started(body)
            case SearchEnded():
                yield from self._searching.ended(body)
            case ToolResult(tool_call_id, item):
                yield from self._calling.result(tool_call_id, item)

    def _leave_open(self) -> Iterator[Fields]:
        yield from self._saying.leave_open()
        self._calling.leave_open()

    def _outcome_of(self, end: TurnEnded, completed_at: int) -> Outcome:
        outcome = Outcome(
            "completed",
            self._emit.output,
            input_tokens=end.input_tokens,
            output_tokens=end.output_tokens,
            completed_at=completed_at,
        )
        match end.reason:
            case "completed" if not self._cut:
                return outcome
            case "completed":
                return dataclasses.replace(
                    outcome, status="incomplete", incomplete_reason=self._cut
                )
            case "token_limit":
                return dataclasses.replace(
                    outcome, status="incomplete", incomplete_reason="max_output_tokens"
                )
            case "stopped":
                return dataclasses.replace(outcome, status="cancelled")
            case _:
                message = " ".join(filter(None, (end.message, end.hint))) or "The turn failed."
                error = {"code": "server_error", "message": message}
                return dataclasses.replace(outcome, status="failed", error=error)

    def _end(self, outcome: Outcome) -> Iterator[Fields]:
        self.outcome = outcome
        # There is no event of its own for a response that was cancelled.
        kind = "incomplete" if outcome.status == "cancelled" else outcome.status
        response = response_of(self._about.skeleton, outcome, self._about.include)
        yield self._emit.event(f"response.{kind}", response=response)

    def _response(self, status: str) -> Fields:
        return {**self._about.skeleton, "status": status, "output": []}


def response_of(
    skeleton: Mapping[str, Any], outcome: Outcome, include: Collection[str] = ()
) -> Fields:
    """A response that has ended, as it is given back."""
    reason = outcome.incomplete_reason
    return {
        **skeleton,
        "status": outcome.status,
        "completed_at": outcome.completed_at if outcome.status == "completed" else None,
        "error": outcome.error,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": all_shown(outcome.output, include),
        "usage": usage_of(outcome.input_tokens, outcome.output_tokens),
    }


def usage_of(input_tokens: int, output_tokens: int) -> Fields:
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }
