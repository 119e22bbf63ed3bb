import asyncio
import random

import pytest

from sessions.events import bus, log
from sessions.events.follow import follow
from sessions.events.types import Notice, StoredEvent
from sessions.models import Session


async def _collect(session: Session, after: int, until: int) -> list[StoredEvent]:
    seen: list[StoredEvent] = []
    async for batch in follow(session.id, after=after, poll_s=0.2):
        seen += batch
        if seen and seen[-1].seq >= until:
            return seen
    raise AssertionError("follow never ends by itself")


@pytest.mark.slow
async def test_readers_at_any_cursor_see_every_event_once(agent_session: Session) -> None:
    first = (await log.read(agent_session.id))[-1].seq
    last = first + 200
    rng = random.Random(7)
    cursors = [rng.randrange(0, first + 1) for _ in range(5)]
    readers = [asyncio.create_task(_collect(agent_session, after, last)) for after in cursors]
    for i in range(200):
        await log.append(agent_session.id, [Notice("info", str(i))])
        if rng.random() < 0.5:  # half of the wake-ups are lost
            await bus.notify(bus.session_topic(agent_session.id))
    for after, reader in zip(cursors, readers, strict=True):
        assert [event.seq for event in await reader] == list(range(after + 1, last + 1))


async def test_a_wake_up_beats_the_poll(agent_session: Session) -> None:
    last = (await log.read(agent_session.id))[-1].seq + 1
    reader = asyncio.create_task(_slow_poll(agent_session, last))
    await asyncio.sleep(0.3)
    await log.append(agent_session.id, [Notice("info", "now")])
    await bus.notify(bus.session_topic(agent_session.id))
    async with asyncio.timeout(10):
        assert (await reader)[-1].seq == last


async def _slow_poll(session: Session, until: int) -> list[StoredEvent]:
    seen: list[StoredEvent] = []
    async for batch in follow(session.id, poll_s=3600):
        seen += batch
        if seen and seen[-1].seq >= until:
            return seen
    return seen


async def test_an_empty_batch_says_that_the_end_is_reached(agent_session: Session) -> None:
    sizes: list[int] = []
    async for batch in follow(agent_session.id, poll_s=0.05):
        sizes.append(len(batch))
        if len(sizes) == 2:
            break
    assert sizes == [3, 0]


async def test_wake_ups_of_one_moment_become_two_at_most(agent_session: Session) -> None:
    topic = bus.session_topic(agent_session.id)
    async with bus.listen(topic) as waiter:
        for _ in range(100):
            await bus.notify(topic)
        woken = 0
        while await waiter.wait(0.2):
            woken += 1
    assert 1 <= woken <= 2
