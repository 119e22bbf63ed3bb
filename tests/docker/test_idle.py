"""What keeps a container that nobody looks at, in a real one."""

import asyncio
import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from sessions.models import Session
from sessions.runtime.reaper import Reaper
from tests.docker.turns import Turns, turns

pytestmark = [pytest.mark.docker, pytest.mark.slow]

COMPUTING = "timeout {seconds} sh -c 'while :; do :; done' > /dev/null 2>&1 &"
SLEEPING = "sleep 300 > /dev/null 2>&1 &"


async def look(reaper: Reaper, session: Turns) -> str:
    """One look an hour after the last use; the state it leaves the container in."""
    rows = Session.objects.filter(id=session.session.id)
    await rows.aupdate(last_active_at=timezone.now() - dt.timedelta(hours=1))
    await reaper.suspend_idle()
    return (await rows.aget()).container_state


async def test_a_program_left_behind_keeps_it_while_it_computes(alice: User) -> None:
    async with turns(alice) as session:
        reaper = Reaper(session.runtime.sandboxes, observe_s=0)
        await session.sandbox()
        await reaper.suspend_idle()  # notes what it had used until then
        await session.run(COMPUTING.format(seconds=20) + " sleep 2")
        assert await look(reaper, session) == "connected"


async def look_twice(session: Turns) -> str:
    """As a process does that has no channel to it yet: first it watches."""
    await session.runtime.sandboxes.close_channels()
    reaper = Reaper(session.runtime.sandboxes, observe_s=1)
    assert await look(reaper, session) == "connected"
    await asyncio.sleep(1.1)
    return await look(reaper, session)


async def test_one_that_computes_keeps_it_over_a_restart(alice: User) -> None:
    async with turns(alice) as session:
        await session.run(COMPUTING.format(seconds=20))
        assert await look_twice(session) == "connected"


async def test_one_that_only_waits_does_not_after_a_restart(alice: User) -> None:
    async with turns(alice) as session:
        await session.run(SLEEPING)
        assert await look_twice(session) == "suspended"


async def test_one_that_only_waits_does_not(alice: User) -> None:
    async with turns(alice) as session:
        reaper = Reaper(session.runtime.sandboxes, observe_s=0)
        await session.sandbox()
        await session.run(SLEEPING)
        assert await look(reaper, session) == "suspended"
