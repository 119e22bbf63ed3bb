"""Many viewers of one session share their reads, and still none misses or repeats anything."""

import asyncio
import random

import pytest

from sessions.events import bus, log
from sessions.events.follow import follow
from sessions.events.types import Notice
from sessions.models import Session

VIEWERS = 10
EVENTS = 120

pytestmark = pytest.mark.django_db(transaction=True)


async def seen_until(session: Session, last: int) -> list[int]:
    """Without the slow poll: what a wake-up does not bring never comes."""
    seqs: list[int] = []
    async for batch in follow(session.id, poll_s=3600):
        seqs += [event.seq for event in batch]
        if seqs and seqs[-1] >= last:
            break
    return seqs


@pytest.mark.slow
async def test_every_viewer_gets_every_event_once_by_wake_ups_alone(
    agent_session: Session,
) -> None:
    pace = random.Random(7)
    first = (await Session.objects.aget(id=agent_session.id)).last_seq
    viewers = [
        asyncio.create_task(seen_until(agent_session, first + EVENTS)) for _ in range(VIEWERS)
    ]
    await asyncio.sleep(0.2)
    for number in range(EVENTS):
        await log.append(agent_session.id, [Notice(level="info", text=str(number))])
        await bus.notify(bus.session_topic(agent_session.id))
        if pace.random() < 0.5:
            await asyncio.sleep(pace.random() * 0.03)
    async with asyncio.timeout(20):
        for seqs in await asyncio.gather(*viewers):
            assert seqs == list(range(1, first + EVENTS + 1))


async def test_viewer_that_leaves_does_not_take_the_read_of_others(agent_session: Session) -> None:
    first = (await Session.objects.aget(id=agent_session.id)).last_seq
    leaving = [asyncio.create_task(seen_until(agent_session, first)) for _ in range(3)]
    staying = asyncio.create_task(seen_until(agent_session, first))
    await asyncio.sleep(0)
    for viewer in leaving:
        viewer.cancel()
    async with asyncio.timeout(10):
        assert await staying == list(range(1, first + 1))
    await asyncio.gather(*leaving, return_exceptions=True)
