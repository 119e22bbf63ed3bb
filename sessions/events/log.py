"""Append to and read from a session's log: the only code that touches the Event table."""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from channels.db import database_sync_to_async
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sessions.errors import LeaseLostError, NotFoundError
from sessions.events.types import EVENT_TYPES, EventBody, StoredEvent
from sessions.models import Event, Session

READ_BATCH_EVENTS = 500
READ_BATCH_BYTES = 512 * 1024


def append_now(
    session_id: uuid.UUID, bodies: Sequence[EventBody], *, lease: str | None = None
) -> int:
    """Store `bodies` under the next numbers; returns the number of the last one.

    The session's counter and the rows change in one transaction, so numbers have no holes and
    become visible in order. With `lease`, nothing is written unless that runner holds the session.

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


def _millis(value: dt.datetime) -> int:
    return int(value.timestamp() * 1000)


def read_now(
    session_id: uuid.UUID,
    *,
    after: int = 0,
    types: Sequence[str] | None = None,
    max_events: int = READ_BATCH_EVENTS,
    max_bytes: int = READ_BATCH_BYTES,
) -> list[StoredEvent]:
    """The events behind number `after`, in order: at least one if there is one, and no more than
    `max_events` or about `max_bytes` of output and text."""
    rows = Event.objects.filter(session_id=session_id, seq__gt=after).order_by("seq")
    if types is not None:
        rows = rows.filter(type__in=types)
    events: list[StoredEvent] = []
    size = 0
    # Values, not model instances: making those is half of the time of a replay.
    columns = rows.values_list("seq", "type", "payload", "data", "created_at")
    for seq, kind, payload, stored, created_at in columns[:max_events].iterator(chunk_size=64):
        data = bytes(stored)
        body = EVENT_TYPES[kind].from_payload(payload, data)
        events.append(StoredEvent(seq, body, _millis(created_at)))
        size += payload_size(payload) + len(data)
        if size >= max_bytes:
            break
    return events


read = database_sync_to_async(read_now)


def payload_size(payload: dict[str, Any]) -> int:
    """About how much memory the texts of a payload take, in characters."""
    return sum(
        len(value) if isinstance(value, str) else len(repr(value))
        for value in payload.values()
        if isinstance(value, (str, list, dict))
    )


def read_call_output_now(session_id: uuid.UUID, call_id: str) -> list[StoredEvent]:
    """Every stored output event of one call, in order."""
    rows = Event.objects.filter(
        session_id=session_id, type="output", payload__call_id=call_id
    ).order_by("seq")
    return [
        StoredEvent(
            row.seq,
            EVENT_TYPES[row.type].from_payload(row.payload, bytes(row.data)),
            _millis(row.created_at),
        )
        for row in rows.iterator(chunk_size=64)
    ]


read_call_output = database_sync_to_async(read_call_output_now)
