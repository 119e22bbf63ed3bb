"""What a client may say, and that everything else ends the socket and nothing more."""

import json

import pytest
from django.contrib.auth.models import User

from sessions.events.types import Notice
from sessions.models import Session
from tests.streaming.conftest import OpenViewer, append

BAD_FIRST_FRAMES = [
    "",
    " ",
    "nonsense",
    "[]",
    "null",
    "7",
    '{"after":0}',
    '{"type":"follow"}',
    '{"type":"follow","after":-1}',
    '{"type":"follow","after":"0"}',
    '{"type":"follow","after":1.0}',
    '{"type":"follow","after":true}',
    '{"type":"follow","after":null}',
    '{"type":"follow","after":9007199254740992}',
    '{"type":"follow","after":5}',
    '{"type":"follow","after":0,"more":1}',
    '{"type":"follow","after":0,"call_id":7}',
    '{"type":["follow"],"after":0}',
    '{"type":"input","data":"rm -rf /"}',
    '{"type":"ack","seq":1}',
    "[" * 60_000,
    json.dumps({"type": "follow", "after": 0, "call_id": "x" * 70_000}),
]


@pytest.mark.parametrize("text", BAD_FIRST_FRAMES)
async def test_ill_formed_first_frame_closes_the_socket(
    agent_session: Session, alice: User, open_viewer: OpenViewer, text: str
) -> None:
    viewer = await open_viewer(agent_session, alice)
    assert await viewer.connect()
    await viewer.socket.send_input({"type": "websocket.receive", "text": text})
    assert await viewer.read_until_closed() == 4400


async def test_binary_frame_closes_the_socket(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer(agent_session, alice)
    assert await viewer.connect()
    await viewer.socket.send_to(bytes_data=b"\0\1\2")
    assert await viewer.read_until_closed() == 4400


@pytest.mark.parametrize("frame", [{"type": "follow", "after": 0}, {"type": "ack", "seq": 2}])
async def test_second_follow_and_early_ack_close_the_socket(
    agent_session: Session, alice: User, open_viewer: OpenViewer, frame: dict[str, object]
) -> None:
    await append(agent_session, Notice(level="info", text="one"))
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await viewer.read_to(1)
    await viewer.socket.send_json_to(frame)
    assert await viewer.read_until_closed() == 4400


async def test_acknowledging_twice_is_acknowledging_once(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    await append(agent_session, Notice(level="info", text="one"))
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await viewer.read_to(1)
    await viewer.ack(1)
    await viewer.ack(0)
    await append(agent_session, Notice(level="info", text="two"))
    await viewer.read_to(2)


async def test_list_socket_takes_no_frames(alice: User, open_viewer: OpenViewer) -> None:
    viewer = await open_viewer("/ws/sessions/", alice)
    assert await viewer.connect()
    await viewer.socket.send_json_to({"type": "follow", "after": 0})
    assert await viewer.read_until_closed() == 4400
