"""Append to and read from a session's log: the only code that touches the Event table."""

import datetime as dt
import json
import uuid
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from channels.db import database_sync_to_async
from django.db import transaction
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from sessions.errors import LeaseLostError, NotFoundError
from sessions.events.types import EVENT_TYPES, EventBody, StoredEvent
from sessions.models import Event, Session, Shell

READ_BATCH_EVENTS = 500
READ_BATCH_BYTES = 512 * 1024
FORGET_EVENTS = 100
SHELL_TYPES = ("output", "output.dropped", "shell.resized", "shell.ended")


def append_now(
    session_id: uuid.UUID,
    bodies: Sequence[EventBody],
    *,
    lease: str | None = None,
    shell: tuple[str, str] | None = None,
) -> int:
    """Store `bodies` under the next numbers; returns the number of the last one.

    The session's counter and the rows change in one transaction, so numbers have no holes and
    become visible in order. With `lease`, nothing is written unless that runner holds the session;
    with `shell`, an id and a process's lease, unless that process holds the shell.

    Raises: LeaseLostError, NotFoundError.
    """
    now = timezone.now()
    with transaction.atomic():
        rows = Session.objects.filter(id=session_id)
        held = rows if lease is None else rows.filter(lease_owner=lease)
        if not held.update(last_seq=F("last_seq") + len(bodies), updated_at=now):
            if lease is not None and rows.exists():
                raise LeaseLostError(f"Another runner holds session {session_id}.")
            raise NotFoundError("No such session.")
        if (
            shell is not None
            and not Shell.objects.filter(shell_id=shell[0], holder=shell[1]).exists()
        ):
            raise LeaseLostError(f"Another process holds {shell[0]}.")
        last = rows.values_list("last_seq", flat=True).get()
        Event.objects.bulk_create(
            Event(
                session_id=session_id,
                seq=last - len(bodies) + 1 + i,
                type=body.type,
                payload=_storable(body.to_payload()),
                data=body.data,
                created_at=now,
            )
            for i, body in enumerate(bodies)
        )
    return last


append = database_sync_to_async(append_now)


def _storable(value: Any) -> Any:
    """Without the characters no database takes: NUL and lone surrogates."""
    if isinstance(value, str):
        if "\0" in value:
            value = value.replace("\0", "\ufffd")
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value


def read_now(
    session_id: uuid.UUID,
    *,
    after: int = 0,
    types: Sequence[str] | None = None,
    max_events: int = READ_BATCH_EVENTS,
    max_bytes: int = READ_BATCH_BYTES,
) -> list[StoredEvent]:
    """The events behind number `after`, in order: at least one if there is one, and no more than
    `max_events` or about `max_bytes` of their rows."""
    rows = _rows_after(session_id, after)
    if types is not None:
        rows = rows.filter(type__in=types)
    return _read(rows, max_events, max_bytes)[0]


def read_on_now(session_id: uuid.UUID, *, after: int) -> tuple[list[StoredEvent], bool]:
    """A batch as of `read`, and whether the log ended with it."""
    return _read(_rows_after(session_id, after), READ_BATCH_EVENTS, READ_BATCH_BYTES)


def _rows_after(session_id: uuid.UUID, after: int) -> QuerySet[Event]:
    return Event.objects.filter(session_id=session_id, seq__gt=after).order_by("seq")


def _read(
    rows: QuerySet[Event], max_events: int, max_bytes: int
) -> tuple[list[StoredEvent], bool]:
    events: list[StoredEvent] = []
    size = 0
    for event, row_bytes in _stored(rows[:max_events]):
        events.append(event)
        size += row_bytes
        if size >= max_bytes:
            break
    return events, len(events) < max_events and size < max_bytes


def _stored(rows: QuerySet[Event]) -> Iterator[tuple[StoredEvent, int]]:
    """The events of the rows, and about how many bytes each row takes."""
    # Values as the database has them: model instances and Django's conversion of each payload and
    # time were most of the time of a replay.
    columns = rows.values_list(
        "seq",
        "type",
        Cast("payload", TextField()),
        "data",
        Cast("created_at", TextField()),
    )
    for seq, kind, text, stored, created_at in columns.iterator(chunk_size=64):
        data = bytes(stored)
        body = EVENT_TYPES[kind].from_payload(json.loads(text), data)
        yield StoredEvent(seq, body, _millis_of(created_at)), len(text) + len(data)


read = database_sync_to_async(read_now)
read_on = database_sync_to_async(read_on_now)


@lru_cache(maxsize=64)
def _millis_of(text: str) -> int:
    """Of a time as a database writes it, in UTC where it names no zone. Events stored together
    have the same."""
    time = dt.datetime.fromisoformat(text)
    aware = time if time.tzinfo else time.replace(tzinfo=dt.UTC)
    return int(aware.timestamp() * 1000)


def forget_some_now(session_id: uuid.UUID) -> int:
    """Delete the first `FORGET_EVENTS` events of a session that is to go; how many there were.

    All at once, a log of 200 MB kept every other writer waiting for most of a second.
    """
    rows = Event.objects.filter(session_id=session_id)
    first = list(rows.order_by("seq").values_list("pk", flat=True)[:FORGET_EVENTS])
    return Event.objects.filter(pk__in=first).delete()[0] if first else 0


forget_some = database_sync_to_async(forget_some_now)


def read_call_output_now(session_id: uuid.UUID, call_id: str) -> list[StoredEvent]:
    """Every stored output event of one call, in order."""
    rows = Event.objects.filter(
        session_id=session_id, type="output", payload__call_id=call_id
    ).order_by("seq")
    return [event for event, _ in _stored(rows)]


def read_shell_now(
    session_id: uuid.UUID, shell_id: str, *, after: int = 0, max_bytes: int = READ_BATCH_BYTES
) -> list[StoredEvent]:
    """What is stored of one shell behind number `after`, in order: a batch as of `read`."""
    rows = _rows_after(session_id, after).filter(
        Q(payload__call_id=shell_id) | Q(payload__shell_id=shell_id), type__in=SHELL_TYPES
    )
    return _read(rows, READ_BATCH_EVENTS, max_bytes)[0]


read_shell = database_sync_to_async(read_shell_now)
read_call_output = database_sync_to_async(read_call_output_now)
