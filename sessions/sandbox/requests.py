"""The host's end of one request: data both ways under flow control, then a result or an error."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from typing_extensions import override

from sessions.errors import (
    BerthError,
    DiskFullError,
    EntryExistsError,
    EntryNotFoundError,
    FileAccessError,
    InvalidInputError,
    OutsideWorkspaceError,
    SandboxError,
    SandboxUnavailableError,
    WrongEntryKindError,
)
from sessions.sandbox.chunk import Chunk
from sessions.sandbox.connection import Connection, Route, broken, error_of, json_object
from sessions.sandbox.guest import wire
from sessions.sandbox.input_credit import InputCredit

WINDOW_BYTES = 4 * 1024 * 1024
"""Of data on their way. With less the guest stops in between and everybody on the way wakes for
small pieces: a quarter more processor time at 1 MiB."""
_INPUT_BYTES = 64 * 1024
QUIET_S = 120.0
"""A request on which nothing moves for so long has failed. Deleting 100,000 files says nothing
until it is done."""
_ERRORS: dict[str, type[BerthError]] = {
    "entry_not_found": EntryNotFoundError,
    "entry_exists": EntryExistsError,
    "outside_workspace": OutsideWorkspaceError,
    "wrong_entry_kind": WrongEntryKindError,
    "disk_full": DiskFullError,
    "file_error": FileAccessError,
    "bad_request": InvalidInputError,
}


class Request(Route):
    """To be used as `async with`: leaving it early cancels the request in the guest.

    A `wire.WireError` raised inside says that the answer made no sense: the connection is closed
    and a ProtocolError comes out.
    """

    def __init__(
        self,
        connection: Connection,
        verb: str,
        *,
        may_be_quiet: bool = False,
        **arguments: Any,
    ) -> None:
        """`may_be_quiet`: nothing may move for as long as nothing happens."""
        body = {"verb": verb, "window": WINDOW_BYTES, **arguments}
        payload = json.dumps(body).encode()
        if len(payload) > wire.MAX_PAYLOAD:
            raise InvalidInputError("The path is too long.", param="path")
        self.is_background = may_be_quiet
        self._connection = connection
        self._may_be_quiet = may_be_quiet
        self._chunks: deque[Chunk] = deque()
        self._received = self._consumed = 0
        self._limit = WINDOW_BYTES
        self._sent = 0
        self._credit = InputCredit()
        self._result: dict[str, Any] | None = None
        self._error: BerthError | None = None
        self._moved = asyncio.Event()
        self._ident = connection.open_route(self)
        connection.send(wire.frame(wire.REQUEST, self._ident, payload))

    async def __aenter__(self) -> "Request":
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, wire.WireError):
            self._connection.fail(broken(error))
            raise broken(error) from error
        if not self._is_over:
            self._connection.close_route(self._ident)
            self._connection.send(wire.frame(wire.CANCEL, self._ident))

    @property
    def _is_over(self) -> bool:
        return self._result is not None or self._error is not None

    # Receiving

    @override
    def receive(self, kind: int, payload: bytes) -> None:
        if kind == wire.OUTPUT:
            self._receive_data(payload)
        elif kind == wire.RESULT:
            self._result = json_object(payload)
            self._connection.close_route(self._ident)
        elif kind == wire.ERROR:
            code, message = error_of(payload)
            self._error = _ERRORS.get(code, SandboxError)(message)
            self._connection.close_route(self._ident)
        elif kind == wire.CREDIT:
            self._credit.granted(payload, self._sent)
        else:
            raise wire.WireError("frame of the wrong type")
        self._moved.set()

    def _receive_data(self, payload: bytes) -> None:
        stream, offset = wire.parse_position(payload)
        data = payload[wire.POSITION.size :]
        if stream != wire.STDOUT or offset != self._received or not data:
            raise wire.WireError("data out of place")
        self._received += len(data)
        if self._received > self._limit:
            raise wire.WireError("data beyond its credit")
        if not (self._chunks and self._chunks[-1].take(data)):
            self._chunks.append(Chunk(stream, offset, data))

    @override
    def lost(self) -> None:
        if not self._is_over:
            self._error = self._connection.failure()
            self._moved.set()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    # Using it

    async def data(self) -> AsyncGenerator[bytes]:
        """All data of the answer. Raises: the error that the request ended with."""
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._grant(len(chunk))
                yield chunk.data()
            if self._is_over:
                self._raise_error()
                return
            await self._wait_for_more()

    def _grant(self, size: int) -> None:
        self._consumed += size
        if self._is_over or self._limit - self._consumed > WINDOW_BYTES // 2:
            return
        self._limit = self._consumed + WINDOW_BYTES
        credit = wire.position_frame(wire.CREDIT, self._ident, wire.STDOUT, self._limit)
        self._connection.send(credit)

    async def result(self) -> dict[str, Any]:
        """Raises: the error that the request ended with; wire.WireError never gets here."""
        while not self._is_over:
            await self._wait_for_more()
        self._raise_error()
        return self._result or {}

    async def _wait_for_more(self) -> None:
        """Raises: SandboxUnavailableError when nothing moves for too long."""
        self._moved.clear()
        try:
            async with asyncio.timeout(None if self._may_be_quiet else QUIET_S):
                await self._moved.wait()
        except TimeoutError:
            raise SandboxUnavailableError("The sandbox does not answer this request.") from None

    async def write(self, data: bytes) -> None:
        """Waits for credit. Returns early when the request is over: `result` says why."""
        view = memoryview(data)
        while view and not self._is_over:
            room = min(self._credit.limit - self._sent, _INPUT_BYTES)
            if room <= 0:
                await self._wait_for_more()
                continue
            piece, view = view[:room], view[room:]
            head = wire.data_head(wire.INPUT, self._ident, wire.STDIN, self._sent, len(piece))
            self._sent += len(piece)
            await self._connection.send_soon(head + piece)

    async def write_all(self, data: AsyncIterable[bytes]) -> None:
        """To its end, or until the request is over: what is refused is not read any further."""
        async for piece in data:
            await self.write(piece)
            if self._is_over:
                return
        await self.end_input()

    async def end_input(self) -> None:
        if not self._is_over:
            await self._connection.send_soon(wire.frame(wire.INPUT_END, self._ident))
