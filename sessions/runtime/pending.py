"""Events that wait to be stored; pieces that follow each other become one."""

from collections.abc import Sequence
from dataclasses import replace

from sessions.events.types import EventBody, MessageDelta, Output

MAX_PIECE_BYTES = 64 * 1024
MAX_PENDING_BYTES = 512 * 1024
"""Whoever records waits while more is not stored yet. All of it is stored in one go, while the
events of others wait: docs/decisions/0017-floods-are-paced.md."""
EVENT_BYTES = 200
"""About what an event takes beside its data, in memory and in the database."""
MAX_ORDERED_EVENTS = 256
"""More events than that between two writes are joined stream by stream: what was printed to two
streams in alternation within the same moment is then shown one after the other."""


class PendingEvents:
    """Pieces are joined when they are taken, so that a byte at a time costs no more than a line."""

    def __init__(self) -> None:
        self._done: list[EventBody] = []
        self._run: list[EventBody] = []
        """The latest event and the pieces that continue it."""
        self._run_bytes = 0
        self.bytes = 0
        """Of all that was added and is not forgotten yet."""

    def add(self, body: EventBody) -> None:
        self.bytes += len(body.data) + EVENT_BYTES
        size = _size(body)
        has_room = self._run_bytes + size <= MAX_PIECE_BYTES
        if has_room and self._run and _continues(self._run[-1], body):
            self._run.append(body)
            self._run_bytes += size
            return
        self._end_run()
        self._run, self._run_bytes = [body], size

    def take(self) -> list[EventBody]:
        """All there are, in their order. Their bytes count on until they are forgotten."""
        done = self.take_as_they_are()
        return done if len(done) <= MAX_ORDERED_EVENTS else _by_stream(done)

    def take_as_they_are(self) -> list[EventBody]:
        self._end_run()
        done, self._done = self._done, []
        return done

    def forget(self, size: int) -> None:
        self.bytes -= size

    def _end_run(self) -> None:
        if self._run:
            self._done.append(_joined(self._run))
            self._run = []


def _by_stream(events: Sequence[EventBody]) -> list[EventBody]:
    """Output between two events of another kind as one run for each stream of each call."""
    done: list[EventBody] = []
    open_runs: dict[tuple[str, str], PendingEvents] = {}
    for event in events:
        if isinstance(event, Output):
            open_runs.setdefault((event.call_id, event.stream), PendingEvents()).add(event)
            continue
        done += _taken(open_runs)
        done.append(event)
    return done + _taken(open_runs)


def _taken(runs: dict[tuple[str, str], PendingEvents]) -> list[EventBody]:
    taken = [event for run in runs.values() for event in run.take_as_they_are()]
    runs.clear()
    return taken


def _continues(last: EventBody, body: EventBody) -> bool:
    match last, body:
        case Output(), Output():
            is_same_stream = last.call_id == body.call_id and last.stream == body.stream
            return is_same_stream and last.offset + len(last.content) == body.offset
        case MessageDelta(), MessageDelta():
            return last.message_id == body.message_id
    return False


def _size(body: EventBody) -> int:
    match body:
        case Output():
            return len(body.content)
        case MessageDelta():
            return len(body.text)
    return 0


def _joined(run: Sequence[EventBody]) -> EventBody:
    first = run[0]
    match first:
        case Output():
            content = b"".join(body.content for body in run if isinstance(body, Output))
            return replace(first, content=content)
        case MessageDelta():
            text = "".join(body.text for body in run if isinstance(body, MessageDelta))
            return replace(first, text=text)
    return first
