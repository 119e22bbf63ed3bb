"""Append to and read from a session's log: the only code that touches the Event table."""

import datetime as dt
import json
import logging
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from typing import Any

from channels.db import database_sync_to_async
from django.db import OperationalError, connection, transaction
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from sessions.errors import LeaseLostError, NotFoundError
from sessions.events import recent
from sessions.events.together import Together
from sessions.events.types import EVENT_TYPES, EventBody, StoredEvent
from sessions.models import Event, Session, Shell

logger = logging.getLogger(__name__)

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
    return _append_all_now([Appending(session_id, bodies, lease, shell)])[0]


def _append_all_now(asked: Sequence["Appending"]) -> list[int]:
    """All or none of them. Raises: as `append_now`."""
    with transaction.atomic():
        logs = _numbered(asked)
        Event.objects.bulk_create(chain.from_iterable(made for _, made in logs))
        for _, made in logs:
            if made:
                transaction.on_commit(partial(_remember, made), robust=True)
    return [last for last, _ in logs]


def _numbered(asked: Sequence["Appending"]) -> list[tuple[int, list[Event]]]:
    """For each the number of the last event and the rows to insert in the same transaction.
    Raises: as `append_now`."""
    now = timezone.now()
    # Locked in one order, so that two processes never wait for each other.
    rows = Session.objects.select_for_update().filter(id__in={one.session_id for one in asked})
    columns = rows.order_by("id").values_list("id", "last_seq", "lease_owner")
    heads = {session_id: (last, lease) for session_id, last, lease in columns}
    logs = []
    for one in asked:
        before = _head(one, heads)
        last = before + len(one.bodies)
        heads[one.session_id] = (last, heads[one.session_id][1])
        numbered = enumerate(one.bodies, before + 1)
        logs.append((last, [_row(one.session_id, seq, body, now) for seq, body in numbered]))
    _move_heads({key: last for key, (last, _) in heads.items()}, now)
    return logs


def _head(asked: "Appending", heads: dict[uuid.UUID, tuple[int, str]]) -> int:
    """The session's last number. Raises: LeaseLostError, NotFoundError."""
    if asked.session_id not in heads:
        raise NotFoundError("No such session.")
    last, holder = heads[asked.session_id]
    if asked.lease is not None and asked.lease != holder:
        raise LeaseLostError(f"Another runner holds session {asked.session_id}.")
    if asked.shell is not None:
        shell_id, process = asked.shell
        if not Shell.objects.filter(shell_id=shell_id, holder=process).exists():
            raise LeaseLostError(f"Another process holds {shell_id}.")
    return last


def _row(session_id: uuid.UUID, seq: int, body: EventBody, now: dt.datetime) -> Event:
    return Event(
        session_id=session_id,
        seq=seq,
        type=body.type,
        payload=_storable(body.to_payload()),
        data=body.data,
        created_at=now,
    )


def _move_heads(heads: Mapping[uuid.UUID, int], now: dt.datetime) -> None:
    """One statement for all sessions: a query set's update of each was most of the time of
    appending to many."""
    key, time = Session._meta.pk, connection.ops.adapt_datetimefield_value(now)
    values = [
        [last, time, key.get_db_prep_value(each, connection)] for each, last in heads.items()
    ]
    table = connection.ops.quote_name(Session._meta.db_table)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET last_seq = %s, updated_at = %s WHERE id = %s",  # noqa: S608 - ours
            values,
        )


@dataclass(frozen=True, slots=True)
class Appending:
    """What `append_now` is given."""

    session_id: uuid.UUID
    bodies: Sequence[EventBody]
    lease: str | None = None
    shell: tuple[str, str] | None = None


def append_each_now(asked: Sequence[Appending]) -> list[int | Exception]:
    """As `append_now` each, in one transaction where none of them fails; what failed brings its
    error."""
    if len(asked) > 1:
        try:
            return list(_append_all_now(asked))
        except OperationalError:
            raise  # a database that is locked or full is no better when asked for each
        except Exception:  # of one of them, which says so by itself below
            logger.debug("appending one by one", exc_info=True)
    return [_append_or_error(one) for one in asked]


def _append_or_error(asked: Appending) -> int | Exception:
    try:
        return append_now(asked.session_id, asked.bodies, lease=asked.lease, shell=asked.shell)
    except Exception as error:  # noqa: BLE001  (raised where it was asked for)
        return error


def _remember(made: Sequence[Event]) -> None:
    """As a read of them would bring them."""
    events, sizes = [], []
    for event in made:
        text, data = json.dumps(event.payload), bytes(event.data)
        body = EVENT_TYPES[event.type].from_payload(json.loads(text), data)
        millis = int(event.created_at.timestamp() * 1000)
        events.append(StoredEvent(event.seq, body, millis))
        sizes.append(len(text) + len(data))
    recent.remember(made[0].session_id, events, sizes)


_append_together = Together(database_sync_to_async(append_each_now), at_most=64)


async def append(
    session_id: uuid.UUID,
    bodies: Sequence[EventBody],
    *,
    lease: str | None = None,
    shell: tuple[str, str] | None = None,
) -> int:
    """As `append_now`, together with what else is to be stored at the moment: a transaction of its
    own for each of a hundred streams, five times a second, filled the database's one thread."""
    return await _append_together(Appending(session_id, bodies, lease, shell))


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
    call_ids: Collection[str] | None = None,
    max_events: int = READ_BATCH_EVENTS,
    max_bytes: int = READ_BATCH_BYTES,
) -> list[StoredEvent]:
    """The events behind number `after`, in order: at least one if there is one, and no more than
    `max_events` or about `max_bytes` of their rows. With `types` or `call_ids` only those."""
    rows = _rows_after(session_id, after)
    if types is not None:
        rows = rows.filter(type__in=types)
    if call_ids is not None:
        rows = rows.filter(payload__call_id__in=list(call_ids))
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


def read_shell_now(
    session_id: uuid.UUID, shell_id: str, *, after: int = 0, max_bytes: int = READ_BATCH_BYTES
) -> list[StoredEvent]:
    """What is stored of one shell behind number `after`, in order: a batch as of `read`."""
    rows = _rows_after(session_id, after).filter(
        Q(payload__call_id=shell_id) | Q(payload__shell_id=shell_id), type__in=SHELL_TYPES
    )
    return _read(rows, READ_BATCH_EVENTS, max_bytes)[0]


read_shell = database_sync_to_async(read_shell_now)
