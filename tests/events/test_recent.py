"""The newest events, from memory: as the log has them, and never with a hole."""

import asyncio
import uuid

import pytest

from sessions.events import bus, log, recent
from sessions.events.follow import follow
from sessions.events.types import Notice, Output, StoredEvent
from sessions.models import Event, Session

pytestmark = pytest.mark.django_db(transaction=True)


def told(*seqs: int) -> list[StoredEvent]:
    return [StoredEvent(seq, Notice("info", str(seq)), 0) for seq in seqs]


def known(session_id: uuid.UUID, seq: int) -> list[int] | None:
    found = recent.behind(session_id, seq)
    return None if found is None else [event.seq for event in found.events]


def remember(session_id: uuid.UUID, *seqs: int, size: int = 10) -> None:
    recent.remember(session_id, told(*seqs), [size] * len(seqs))


async def test_they_are_as_a_read_brings_them(agent_session: Session) -> None:
    first = (await log.read(agent_session.id))[-1].seq
    bodies = [Notice("info", "half \ud800, nothing \0"), Output("c.0", "stdout", 0, b"\xff\0")]
    await log.append(agent_session.id, bodies)
    found = recent.behind(agent_session.id, first)
    assert found is not None
    assert found.events == await log.read(agent_session.id, after=first)


def test_none_is_known_behind_the_last_or_before_the_first() -> None:
    session_id = uuid.uuid4()
    remember(session_id, 5, 6)
    assert [known(session_id, seq) for seq in (3, 4, 5, 6, 7)] == [None, [5, 6], [6], None, None]
    assert known(uuid.uuid4(), 4) is None


def test_what_is_not_next_begins_anew_and_what_is_older_is_left_out() -> None:
    session_id = uuid.uuid4()
    remember(session_id, 5, 6)
    remember(session_id, 9)
    assert (known(session_id, 5), known(session_id, 8)) == (None, [9])
    remember(session_id, 7, 8)
    assert (known(session_id, 6), known(session_id, 8)) == (None, [9])


def test_memory_is_bounded_for_each_and_for_all() -> None:
    session_id = uuid.uuid4()
    remember(session_id, *range(1, 701))
    assert known(session_id, 1) is None
    assert known(session_id, 200) == list(range(201, 701))
    remember(session_id, 701, size=recent.MAX_SESSION_BYTES)
    assert known(session_id, 700) == [701]
    remember(session_id, 702, size=recent.MAX_SESSION_BYTES + 1)
    assert known(session_id, 701) is None
    for _ in range(recent.MAX_BYTES // recent.MAX_SESSION_BYTES + 1):
        remember(uuid.uuid4(), 1, size=recent.MAX_SESSION_BYTES)
    assert known(session_id, 700) is None
    remember(session_id, 703)
    assert known(session_id, 702) == [703]


async def test_a_reader_that_has_caught_up_reads_what_another_process_stores(
    agent_session: Session,
) -> None:
    """This process knows the event before, and the one after."""
    seen: list[str] = []
    is_at_end = asyncio.Event()

    async def read() -> None:
        async for batch in follow(agent_session.id, poll_s=0.2):
            seen.extend(event.body.text for event in batch if isinstance(event.body, Notice))
            if not batch:
                is_at_end.set()
            if seen[-1:] == ["last"]:
                return

    reader = asyncio.create_task(read())
    await is_at_end.wait()
    await log.append(agent_session.id, [Notice("info", "ours")])
    await bus.notify(bus.session_topic(agent_session.id))
    row = await Session.objects.aget(id=agent_session.id)
    foreign = Notice("info", "of another process")
    await Event.objects.acreate(
        session_id=row.id, seq=row.last_seq + 1, type=foreign.type, payload=foreign.to_payload()
    )
    await Session.objects.filter(id=row.id).aupdate(last_seq=row.last_seq + 1)
    await log.append(agent_session.id, [Notice("info", "last")])
    await bus.notify(bus.session_topic(agent_session.id))
    async with asyncio.timeout(20):
        await reader
    assert seen == ["ours", "of another process", "last"]
