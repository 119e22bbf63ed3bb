"""A socket as a browser has it: a signed-in cookie, the whole ASGI application, real tables."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import AsyncClient

from sessions.events import bus, log
from sessions.events.types import EventBody, Output
from sessions.models import Session
from webapp.asgi import application

ORIGIN = "http://localhost"


class Viewer:
    """One socket, read frame by frame. `received` holds every event in the order it came."""

    def __init__(
        self, path: str, cookie: str = "", origin: str = ORIGIN, key: str | None = None
    ) -> None:
        headers = [(b"host", b"localhost")]
        if origin:
            headers.append((b"origin", origin.encode()))
        if key is not None:
            headers.append((b"authorization", f"Bearer {key}".encode()))
        if cookie:
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
        self.socket = WebsocketCommunicator(application, path, headers=headers)
        self.received: list[dict[str, Any]] = []
        self.control: list[dict[str, Any]] = []
        self.frame_sizes: list[int] = []
        self.close_code: int | None = None

    async def connect(self) -> bool:
        is_accepted, _ = await self.socket.connect(timeout=20)
        return bool(is_accepted)

    async def follow(self, after: int = 0, **more: Any) -> None:
        assert await self.connect()
        await self.socket.send_json_to({"type": "follow", "after": after, **more})

    async def ack(self, seq: int) -> None:
        await self.socket.send_json_to({"type": "ack", "seq": seq})

    async def next_frame(self) -> list[dict[str, Any]]:
        """The events of the next frame, [] for a control frame or the closing."""
        message = await self.socket.receive_output(20)
        if message["type"] == "websocket.close":
            self.close_code = message.get("code")
            return []
        if (data := message.get("bytes")) is not None:
            events = parse_binary(data)
            self.frame_sizes.append(len(data))
        else:
            frame = json.loads(message["text"])
            if frame["type"] != "events":
                self.control.append(frame)
                return []
            self.frame_sizes.append(len(message["text"].encode()))
            events = frame["events"]
        self.received += events
        return events

    async def read_to(self, seq: int, *, ack: bool = True) -> None:
        """Read until the event numbered `seq` has come."""
        while not self.received or self.received[-1]["seq"] < seq:
            assert self.close_code is None, f"closed with {self.close_code}"
            events = await self.next_frame()
            if ack and events:
                await self.ack(events[-1]["seq"])

    async def read_until_closed(self) -> int:
        while self.close_code is None:
            await self.next_frame()
        return self.close_code

    async def is_quiet(self) -> bool:
        return bool(await self.socket.receive_nothing(timeout=0.3))

    async def close(self) -> None:
        if not self.socket.future.done():
            await self.socket.disconnect(timeout=20)


def parse_binary(data: bytes) -> list[dict[str, Any]]:
    (length,) = struct.unpack_from(">I", data)
    position = 4 + length
    events = []
    for output in json.loads(data[4:position])["outputs"]:
        piece = data[position : position + output["length"]]
        position += output["length"]
        events.append({**output, "type": "output", "data": piece})
    assert position == len(data)
    return events


OpenViewer = Callable[..., Awaitable[Viewer]]


@pytest.fixture
async def alice(transactional_db: None) -> User:
    return await User.objects.acreate_user("alice", password="a long password")


@pytest.fixture
async def bob(transactional_db: None) -> User:
    return await User.objects.acreate_user("bob", password="a long password")


@pytest.fixture
async def charlie(transactional_db: None) -> User:
    """An administrator."""
    return await User.objects.acreate_user("charlie", password="a long password", is_staff=True)


@pytest.fixture
async def agent_session(alice: User) -> Session:
    return await Session.objects.acreate(
        owner=alice, title="Sort", provider="scripted", model="tour", image="slim"
    )


async def cookie_of(user: User) -> str:
    client = AsyncClient()
    await client.aforce_login(user)
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def path_of(session: Session) -> str:
    return f"/ws/sessions/{session.id}/"


@pytest.fixture
async def open_viewer() -> AsyncIterator[OpenViewer]:
    """Opens sockets and closes them after the test. A path or a session, and who looks."""
    viewers: list[Viewer] = []

    async def open_(
        target: Session | str,
        user: User | None,
        *,
        cookie: str = "",
        origin: str = ORIGIN,
        key: str | None = None,
    ) -> Viewer:
        path = target if isinstance(target, str) else path_of(target)
        viewer = Viewer(path, await cookie_of(user) if user else cookie, origin, key)
        viewers.append(viewer)
        return viewer

    yield open_
    for viewer in viewers:
        await viewer.close()
    await asyncio.sleep(0)


async def append(session: Session, *bodies: EventBody) -> int:
    last = await log.append(session.id, bodies)
    await bus.notify(bus.session_topic(session.id))
    return last


def output(call_id: str, content: bytes, offset: int = 0, stream: Any = "stdout") -> Output:
    return Output(call_id=call_id, stream=stream, offset=offset, content=content)
