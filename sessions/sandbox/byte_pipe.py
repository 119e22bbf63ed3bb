"""A connection to the engine, as bytes that wait in both directions.

Plain sockets are read and written directly: asyncio's own streams copy every byte twice more, and
took three times the processor time for a flood. TLS needs them.
"""

import asyncio
import contextlib
import socket
from typing import Protocol

from typing_extensions import override

RECEIVE_BYTES = 256 * 1024
LARGE_BYTES = 64 * 1024
"""After so much at once others on the loop get their turn: a flood never waits by itself."""


class BytePipe(Protocol):
    """Raises OSError from either direction once the connection is broken."""

    async def receive(self) -> bytes:
        """Some bytes, `b""` at the end and after `close`."""
        ...

    async def send(self, data: bytes) -> None:
        """Returns when the system took all of it. Cancelled midway, the pipe is closed."""
        ...

    async def close(self) -> None: ...


class SocketPipe(BytePipe):
    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._is_closed = False
        self._waiting = 0

    @override
    async def receive(self) -> bytes:
        if self._is_closed:
            return b""
        self._waiting += 1
        try:
            data = await asyncio.get_running_loop().sock_recv(self._socket, RECEIVE_BYTES)
        finally:
            self._waiting -= 1
            self._let_go()
        if len(data) >= LARGE_BYTES:
            await asyncio.sleep(0)
        return data

    @override
    async def send(self, data: bytes) -> None:
        if self._is_closed:
            raise BrokenPipeError("the connection is closed")
        self._waiting += 1
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except asyncio.CancelledError:
            # Part of `data` may be on its way: nothing sensible can follow it.
            await self.close()
            raise
        finally:
            self._waiting -= 1
            self._let_go()

    @override
    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._let_go()

    def _let_go(self) -> None:
        """Whoever still waits on the socket is woken by its shutdown, and closes it then."""
        if self._is_closed and self._waiting == 0:
            self._socket.close()


class StreamPipe(BytePipe):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @override
    async def receive(self) -> bytes:
        return await self._reader.read(RECEIVE_BYTES)

    @override
    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    @override
    async def close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()
