"""A page that looks at a shell, without a browser: what it shows, and what it types."""

import asyncio
import base64
import json
import secrets
import struct
import uuid
from typing import Any

from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth.models import User

from sessions.models import Session, Shell
from tests.streaming.conftest import ORIGIN, cookie_of
from webapp.asgi import application


def shell_path(session: Session, shell_id: str) -> str:
    return f"/ws/sessions/{session.id}/shells/{shell_id}/"


class ShellPage:
    """`screen` is what a terminal would have been written, preludes and all."""

    def __init__(self, path: str, cookie: str, token: str = "") -> None:
        self._path = path
        self._cookie = cookie
        self.token = token or secrets.token_hex(16)
        self.is_acking = True
        self.close_code: int | None = None
        self._reset()

    def _reset(self) -> None:
        self.screen = b""
        self.start = self.offset = 0
        self.gaps: list[int] = []
        self.sizes: list[tuple[int, int]] = []
        self.hello: dict[str, Any] = {}
        self.keyboard: dict[str, Any] = {}
        self.ended: dict[str, Any] | None = None
        self.typed = self.limit = 0
        self.is_ready = False

    async def connect(self) -> None:
        headers = [(b"host", b"localhost"), (b"origin", ORIGIN.encode())]
        cookie = f"{settings.SESSION_COOKIE_NAME}={self._cookie}"
        headers.append((b"cookie", cookie.encode()))
        self.socket = WebsocketCommunicator(application, self._path, headers=headers)
        is_accepted, _ = await self.socket.connect(timeout=20)
        assert is_accepted

    async def attach(self, *, is_new: bool = True) -> "ShellPage":
        """From where it was; a new one from an empty screen."""
        await self.connect()
        offset = None if is_new else self.offset
        await self.say("attach", viewer=self.token, offset=offset, is_new=is_new)
        self.keyboard = {}
        self.is_ready = False
        while not self.keyboard:
            await self.step()
        return self

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json_to({"type": kind, **fields})

    async def type(self, data: bytes, *, offset: int | None = None) -> None:
        at = self.typed if offset is None else offset
        await self.socket.send_to(bytes_data=struct.pack(">Q", at) + data)
        self.typed = max(self.typed, at + len(data))

    async def paste(self, data: bytes, step: int = 64 * 1024) -> None:
        """As much at a time as the server allows, while its answers are read."""
        while data:
            while self.typed >= self.limit:
                await self.step()
            room = min(step, self.limit - self.typed)
            await self.type(data[:room])
            data = data[room:]

    async def step(self, timeout_s: float = 20) -> None:
        """Take one frame."""
        message = await self.socket.receive_output(timeout_s)
        if message["type"] == "websocket.close":
            self.close_code = message["code"]
            raise ConnectionError(f"closed with {self.close_code}")
        if (data := message.get("bytes")) is not None:
            await self._output(data)
        else:
            frame = json.loads(message["text"])
            getattr(self, f"_on_{frame.pop('type')}")(**frame)

    async def _output(self, frame: bytes) -> None:
        (offset,) = struct.unpack_from(">Q", frame)
        assert offset == self.offset, f"{offset} came where {self.offset} was due"
        self.screen += frame[8:]
        self.offset += len(frame) - 8
        if self.is_acking:
            await self.say("ack", offset=self.offset)

    def _begin(self, start: dict[str, Any]) -> None:
        self.offset = start["offset"]
        self.screen += base64.b64decode(start["prelude"])
        self.sizes.append((start["columns"], start["rows"]))

    def _on_hello(self, **fields: Any) -> None:
        self.hello = fields
        if fields["start"]["offset"] != self.offset:
            assert self.offset == 0
            self.start = fields["start"]["offset"]
        self._begin(fields["start"])

    def _on_gap(self, length: int, start: dict[str, Any]) -> None:
        self.gaps.append(length)
        self._begin(start)

    def _on_size(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    def _on_keyboard(self, **fields: Any) -> None:
        is_ready = fields["is_mine"] and fields["is_attached"]
        if is_ready and not self.is_ready:
            self.typed = fields["offset"]
        self.is_ready = is_ready
        self.keyboard = fields
        self.limit = fields["limit"]

    def _on_credit(self, offset: int, limit: int) -> None:
        self.limit = limit

    def _on_ended(self, **fields: Any) -> None:
        self.ended = fields

    def _on_pong(self) -> None: ...

    async def read_until(self, text: bytes, timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s):
            while text not in self.screen:
                await self.step()

    async def read_to_end(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while self.ended is None:
                await self.step()
        return self.ended

    async def until(self, **wanted: Any) -> None:
        """Read until the keyboard is so."""
        async with asyncio.timeout(20):
            while any(self.keyboard.get(name) != value for name, value in wanted.items()):
                await self.step()

    async def read_until_closed(self) -> int:
        while self.close_code is None:
            try:
                await self.step()
            except ConnectionError:
                break
        assert self.close_code is not None
        return self.close_code

    async def close(self) -> None:
        if not self.socket.future.done():
            await self.socket.disconnect(timeout=20)


async def page_of(shell: Shell, user: User, *, token: str = "") -> ShellPage:
    path = shell_path(shell.session, shell.shell_id)
    return ShellPage(path, await cookie_of(user), token)


def new_id() -> str:
    return f"shell-{uuid.uuid4().hex}"
