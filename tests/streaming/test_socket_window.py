"""A client that does not acknowledge stops the sender, not the command and not the others."""

import pytest
from django.contrib.auth.models import User

from sessions.events.types import Notice
from sessions.models import Session
from sessions.streaming.window import WINDOW_BYTES
from tests.streaming.conftest import OpenViewer, append, output

PIECE = 64 * 1024
PIECES = 64


async def write_flood(session: Session) -> int:
    last = 0
    for i in range(PIECES):
        last = await append(session, output("a", bytes([i]) * PIECE, i * PIECE))
    return last


@pytest.mark.slow
async def test_at_most_one_window_of_output_is_in_flight(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    last = await write_flood(agent_session)
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    while not await viewer.is_quiet():
        await viewer.next_frame()
    assert WINDOW_BYTES * 0.7 < sum(viewer.frame_sizes) <= WINDOW_BYTES
    await viewer.ack(viewer.received[-1]["seq"])
    await viewer.read_to(last)
    assert b"".join(event["data"] for event in viewer.received) == b"".join(
        bytes([i]) * PIECE for i in range(PIECES)
    )


@pytest.mark.slow
async def test_messages_are_bounded_too(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    last = 0
    for _ in range(30):
        last = await append(agent_session, Notice(level="info", text="é" * 50_000))
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    while not await viewer.is_quiet():
        await viewer.next_frame()
    assert sum(viewer.frame_sizes) <= WINDOW_BYTES
    assert viewer.received[-1]["seq"] < last


async def test_one_event_larger_than_the_window_still_comes(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    await append(agent_session, Notice(level="info", text="x" * (WINDOW_BYTES * 2)))
    last = await append(agent_session, Notice(level="info", text="after"))
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await viewer.read_to(last)
    assert [len(event["text"]) for event in viewer.received] == [WINDOW_BYTES * 2, 5]


@pytest.mark.slow
async def test_stalled_viewer_does_not_hold_up_another(
    agent_session: Session, alice: User, charlie: User, open_viewer: OpenViewer
) -> None:
    stalled = await open_viewer(agent_session, alice)
    await stalled.follow()
    last = await write_flood(agent_session)
    reader = await open_viewer(agent_session, charlie)
    await reader.follow()
    await reader.read_to(last)
    assert len(reader.received) == PIECES


async def test_output_and_messages_keep_the_order_of_the_log(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    last = 0
    for i in range(20):
        await append(agent_session, output("a", b"%d\n" % i, i * 3))
        last = await append(agent_session, Notice(level="info", text=str(i)))
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await viewer.read_to(last)
    assert [event["seq"] for event in viewer.received] == list(range(1, last + 1))
    assert max(viewer.frame_sizes) < 300 * 1024
