"""The newest events of sessions, as this process stored them.

Whoever is woken by them would read from the database what was written there a moment ago: with a
hundred streams at once, half of the time of its one thread went into that. Events are as a read
would bring them, and only those of committed transactions. Memory is bounded; who is further behind
reads the log.
"""

import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from sessions.events.types import StoredEvent

MAX_SESSION_EVENTS = 500
MAX_SESSION_BYTES = 256 * 1024
MAX_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class _Run:
    """Events without a hole between them, and the size of each in bytes."""

    events: deque[StoredEvent] = field(default_factory=deque)
    sizes: deque[int] = field(default_factory=deque)
    size: int = 0
    stored_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Known:
    events: list[StoredEvent]
    stored_at: float
    """When the last of them was stored, by the monotonic clock."""


_lock = threading.Lock()
_runs: OrderedDict[uuid.UUID, _Run] = OrderedDict()
_total = 0


def remember(session_id: uuid.UUID, events: Sequence[StoredEvent], sizes: Sequence[int]) -> None:
    """Once they are committed. Commits of two threads may be told of in either order."""
    global _total  # noqa: PLW0603 - the size of what is in `_runs`, under the same lock
    with _lock:
        run = _runs.setdefault(session_id, _Run())
        _runs.move_to_end(session_id)
        _total -= run.size
        if run.events and events[0].seq != run.events[-1].seq + 1:
            if events[-1].seq < run.events[-1].seq:
                _total += run.size
                return
            run.events.clear()
            run.sizes.clear()
            run.size = 0
        run.events.extend(events)
        run.sizes.extend(sizes)
        run.size += sum(sizes)
        run.stored_at = time.monotonic()
        while run.size > MAX_SESSION_BYTES or len(run.events) > MAX_SESSION_EVENTS:
            run.events.popleft()
            run.size -= run.sizes.popleft()
        _total += run.size
        while _total > MAX_BYTES:
            _, oldest = _runs.popitem(last=False)
            _total -= oldest.size


def behind(session_id: uuid.UUID, seq: int) -> Known | None:
    """All events that this process knows to come behind number `seq`; None where there is none, or
    it may not know all."""
    with _lock:
        run = _runs.get(session_id)
        if run is None or not run.events or not run.events[0].seq <= seq + 1 <= run.events[-1].seq:
            return None
        first = seq + 1 - run.events[0].seq
        return Known(list(islice(run.events, first, None)), run.stored_at)
