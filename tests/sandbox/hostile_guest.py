"""The guest's side of a channel, played by a test that keeps to no rule."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from typing_extensions import override

from sessions.sandbox.base import DuplexStream
from sessions.sandbox.guest import wire


class HostileStream(DuplexStream):
    """What is put into it the host reads; what the host writes is kept."""

    def __init__(self) -> None:
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.written = bytearray()
        self.is_closed = False
        self.read_bytes = 0

    def put(self, data: bytes) -> None:
        self._incoming.put_nowait(data)

    @property
    def is_read(self) -> bool:
        return self._incoming.empty()

    def hang_up(self) -> None:
        self._incoming.put_nowait(b"")

    @override
    async def read(self) -> bytes:
        data = await self._incoming.get()
        self.read_bytes += len(data)
        return data

    @override
    async def write(self, data: bytes) -> None:
        self.written += data

    @override
    async def close(self) -> None:
        self.is_closed = True


class ActingStream(DuplexStream):
    """Answers each frame of the host by what `act` makes of it, piece by piece as it is read."""

    def __init__(self, act: Callable[[int, int, bytes], AsyncIterator[bytes]]) -> None:
        self._act = act
        self._decoder = wire.FrameDecoder()
        self._heard: asyncio.Queue[tuple[int, int, bytes]] = asyncio.Queue()
        self._said = self._say()

    async def _say(self) -> AsyncIterator[bytes]:
        while True:
            async for piece in self._act(*await self._heard.get()):
                yield piece

    @override
    async def read(self) -> bytes:
        return await anext(self._said)

    @override
    async def write(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            self._heard.put_nowait(frame)

    @override
    async def close(self) -> None:
        """What it says has no end of its own."""


def hello() -> bytes:
    return json_frame(wire.HELLO, 0, {"version": wire.VERSION})


def json_frame(kind: int, ident: int, value: Any) -> bytes:
    return wire.frame(kind, ident, json.dumps(value).encode())


def output(ident: int, stream: int, offset: int, data: bytes) -> bytes:
    return wire.data_head(wire.OUTPUT, ident, stream, offset, len(data)) + data


def ended(ident: int, **changes: Any) -> bytes:
    body: dict[str, Any] = {
        "kind": "exit",
        "exit_code": 0,
        "duration_ms": 1,
        "sizes": {"1": 0, "2": 0},
        "log_path": "",
    }
    return json_frame(wire.ENDED, ident, {**body, **changes})
