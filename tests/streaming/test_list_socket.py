"""The dashboard's socket: told that something changed, never what."""

import asyncio
import time

import pytest
from django.contrib.auth.models import User

from sessions.events import bus
from tests.streaming.conftest import OpenViewer


async def changes_within(viewer: object, seconds: float) -> int:
    await asyncio.sleep(seconds)
    count = 0
    while not await viewer.socket.receive_nothing(timeout=0.05):  # type: ignore[attr-defined]
        await viewer.next_frame()  # type: ignore[attr-defined]
        count += 1
    return count


async def test_owner_is_told_and_a_stranger_is_not(
    alice: User, bob: User, open_viewer: OpenViewer
) -> None:
    mine, other = (
        await open_viewer("/ws/sessions/", alice),
        await open_viewer("/ws/sessions/", bob),
    )
    assert await mine.connect()
    assert await other.connect()
    await asyncio.sleep(0.1)
    await bus.notify(bus.owner_topic(alice.pk))
    await mine.next_frame()
    assert mine.control == [{"type": "changed"}]
    assert await other.is_quiet()


async def test_administrator_is_told_of_everyones_sessions(
    charlie: User, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer("/ws/sessions/", charlie)
    assert await viewer.connect()
    await asyncio.sleep(0.1)
    await bus.notify(bus.STAFF_TOPIC)
    await viewer.next_frame()
    assert viewer.control == [{"type": "changed"}]


@pytest.mark.slow
async def test_changes_are_joined_to_two_a_second(alice: User, open_viewer: OpenViewer) -> None:
    viewer = await open_viewer("/ws/sessions/", alice)
    assert await viewer.connect()
    await asyncio.sleep(0.1)
    started = time.monotonic()
    for _ in range(20):
        await bus.notify(bus.owner_topic(alice.pk))
        await asyncio.sleep(0.05)
    seconds = time.monotonic() - started
    assert 2 <= await changes_within(viewer, 0.6) <= 2 * seconds + 2


async def test_nobody_signed_in_is_refused(
    transactional_db: None, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer("/ws/sessions/", None)
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4401
