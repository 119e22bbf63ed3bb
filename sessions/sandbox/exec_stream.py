"""One `docker exec` as a byte stream: the engine's upgraded connection, demultiplexed.

The SDK's own socket is not used: it may keep the first bytes of the stream in a buffer it threw
away, and it blocks. Asyncio's streams wait in both directions: the reader stops reading the socket
when its buffer is full, the writer waits until the engine took what was written.
"""

import asyncio
import json
import struct

from typing_extensions import override

from sessions.errors import ContainerLostError, EngineUnavailableError, SandboxUnavailableError
from sessions.sandbox.base import DuplexStream
from sessions.sandbox.engine_address import EngineAddress
from sessions.sandbox.failure import classify

READ_BYTES = 256 * 1024
WRITE_HIGH_WATER_BYTES = 256 * 1024
MAX_STDERR_BYTES = 4096
HEAD_TIMEOUT_S = 20.0

_HEADER = struct.Struct(">B3xI")
_STDOUT, _STDERR = 1, 2


async def open_exec(address: EngineAddress, api_version: str, exec_id: str) -> DuplexStream:
    """Start a created exec and take over its connection.

    Raises: ContainerLostError, EngineUnavailableError, SandboxError.
    """
    reader, writer = await address.connect()
    try:
        writer.transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)
        writer.write(_start_request(api_version, exec_id))
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            await writer.drain()
            status, headers = await _read_head(reader)
            if status not in {101, 200}:
                length = int(headers.get("content-length", "0"))
                raise classify(status, _explanation(await reader.read(min(length, 65536))))
    except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
        writer.close()
        raise EngineUnavailableError(f"The engine did not start the exec: {error}") from error
    except BaseException:
        writer.close()
        raise
    return _ExecStream(reader, writer)


def _start_request(api_version: str, exec_id: str) -> bytes:
    body = json.dumps({"Detach": False, "Tty": False}).encode()
    head = (
        f"POST /v{api_version}/exec/{exec_id}/start HTTP/1.1\r\n"
        "Host: docker\r\n"
        "Connection: Upgrade\r\n"
        "Upgrade: tcp\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    pairs = (line.partition(":") for line in head[1:] if line)
    return status, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _explanation(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


class _ExecStream(DuplexStream):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._demux = Demultiplexer()
        self._has_answered = False
        self._is_closed = False

    @override
    async def read(self) -> bytes:
        while not self._is_closed:
            try:
                chunk = await self._reader.read(READ_BYTES)
            except OSError as error:
                raise SandboxUnavailableError(f"The engine's stream broke: {error}") from error
            if not chunk:
                return self._end()
            payload = self._demux.feed(chunk)
            if payload:
                self._has_answered = True
                return payload
        return b""

    @override
    async def write(self, data: bytes) -> None:
        if self._is_closed:
            raise SandboxUnavailableError("The stream to the guest is closed.")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise SandboxUnavailableError(f"The engine's stream broke: {error}") from error

    @override
    async def close(self) -> None:
        self._is_closed = True
        self._writer.close()
        try:
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    def _end(self) -> bytes:
        """A stream that ends before its first byte never reached a guest: say why."""
        if not self._has_answered:
            reason = self._demux.stderr.decode(errors="replace").strip() or "it said nothing"
            raise ContainerLostError(f"The guest could not be reached: {reason}")
        return b""


class Demultiplexer:
    """Take the engine's stream apart: frames of a kind, a length and bytes.

    Bytes of stdout come out as soon as they are there, whole frame or not. The start of stderr is
    kept for error messages, the rest of it is dropped.
    """

    def __init__(self) -> None:
        self.stderr = b""
        self._kind = 0
        self._left = 0
        self._partial_header = b""

    def feed(self, chunk: bytes) -> bytes:
        view = memoryview(chunk)
        position = 0
        parts: list[memoryview] = []
        while position < len(view):
            if self._left == 0:
                wanted = _HEADER.size - len(self._partial_header)
                header = self._partial_header + bytes(view[position : position + wanted])
                position += wanted
                if len(header) < _HEADER.size:
                    self._partial_header = header
                    break
                self._partial_header = b""
                self._kind, self._left = _HEADER.unpack(header)
                continue
            body = view[position : position + self._left]
            position += len(body)
            self._left -= len(body)
            self._take(body, parts)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def _take(self, body: memoryview, parts: list[memoryview]) -> None:
        if self._kind == _STDOUT:
            parts.append(body)
        elif self._kind == _STDERR and len(self.stderr) < MAX_STDERR_BYTES:
            self.stderr = (self.stderr + bytes(body))[:MAX_STDERR_BYTES]
