"""One `docker exec` as a byte stream: the engine's upgraded connection, demultiplexed.

The SDK's own socket is not used: it may keep the first bytes of the stream in a buffer it threw
away, and it blocks. Here nothing is read before it is asked for, and a write waits until the
engine took it.
"""

import asyncio
import json
import struct

from typing_extensions import override

from sessions.errors import ContainerLostError, EngineUnavailableError, SandboxUnavailableError
from sessions.sandbox.base import DuplexStream
from sessions.sandbox.byte_pipe import BytePipe
from sessions.sandbox.engine_address import EngineAddress
from sessions.sandbox.failure import classify

MAX_HEAD_BYTES = 65_536
MAX_STDERR_BYTES = 4096
HEAD_TIMEOUT_S = 20.0

_HEADER = struct.Struct(">B3xI")
_STDOUT, _STDERR = 1, 2
_UPGRADED = frozenset({101, 200})


async def open_exec(address: EngineAddress, api_version: str, exec_id: str) -> DuplexStream:
    """Start a created exec and take over its connection.

    Raises: ContainerLostError, EngineUnavailableError, SandboxError.
    """
    pipe = await address.connect()
    try:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            await pipe.send(_start_request(api_version, exec_id))
            status, rest = await _read_head(pipe)
            if status not in _UPGRADED:
                raise classify(status, _explanation(rest + await pipe.receive()))
    except (OSError, ValueError) as error:
        await pipe.close()
        raise EngineUnavailableError(f"The engine did not start the exec: {error}") from error
    except BaseException:
        await pipe.close()
        raise
    return _ExecStream(pipe, rest)


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


async def _read_head(pipe: BytePipe) -> tuple[int, bytes]:
    """The status, and what came along after the head. Raises: OSError, ValueError."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = await pipe.receive()
        if not data or len(received) > MAX_HEAD_BYTES:
            raise ValueError("its answer is not HTTP")
        received += data
    head, _, rest = received.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise ValueError("its answer is not HTTP")
    return int(words[1]), rest


def _explanation(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


class _ExecStream(DuplexStream):
    def __init__(self, pipe: BytePipe, first: bytes) -> None:
        self._pipe = pipe
        self._first = first
        self._demux = Demultiplexer()
        self._has_answered = False
        self._is_closed = False

    @override
    async def read(self) -> bytes:
        while not self._is_closed:
            chunk, self._first = self._first, b""
            try:
                chunk = chunk or await self._pipe.receive()
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
            await self._pipe.send(data)
        except OSError as error:
            raise SandboxUnavailableError(f"The engine's stream broke: {error}") from error

    @override
    async def close(self) -> None:
        self._is_closed = True
        await self._pipe.close()

    def _end(self) -> bytes:
        """A stream that ends before its first byte never reached a guest: say why."""
        if not self._has_answered and not self._is_closed:
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
