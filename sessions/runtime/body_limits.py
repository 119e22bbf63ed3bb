"""How much of a request's body is taken, decided before the application sees the request.

Twisted spools a whole body to disk first and calls the application then, so without a limit here
anyone who reaches the port can fill the disk, signed in or not. Everybody may send a little (a
form to sign in with); to go on, the sender is looked up while their connection is not read.
"""

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from daphne.http_protocol import WebRequest  # type: ignore[import-untyped]
from typing_extensions import override

logger = logging.getLogger(__name__)

IN_MEMORY_BYTES = 100_000
"""A body announced as shorter than this needs no file."""
LINGER_S = 2.0
"""How long what a refused client still sends is read, and dropped. A connection closed on unread
bytes is reset, and the answer is lost with it."""


def _answer(status: bytes, text: bytes) -> bytes:
    return (
        b"HTTP/1.1 %s\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\n"
        b"Connection: close\r\n\r\n%s" % (status, len(text), text)
    )


TOO_LARGE = _answer(b"413 Content Too Large", b"The request's body is too large.\n")
NO_ROOM = _answer(b"507 Insufficient Storage", b"The server has no room for the request's body.\n")


@dataclass(frozen=True)
class BodyLimits:
    spool_dir: str
    """Where bodies lie until they are handed on; a disk, not memory."""
    anyone_bytes: int
    signed_in_bytes: int
    is_signed_in: Callable[[bytes, Mapping[bytes, bytes]], Awaitable[bool]]
    """Asked with a request's `Authorization` (empty when it has none) and cookies when its body is
    larger than `anyone_bytes`."""


class LimitedRequest(WebRequest):  # type: ignore[misc]  # Daphne has no types
    """An HTTP request answered 413 as soon as its body is, or says it will be, too large."""

    content: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits: BodyLimits = self.server.body_limits
        self._limit = self._limits.anyone_bytes
        self._received = 0
        self._is_refused = False
        self._is_whole = False
        self._asking: asyncio.Future[None] | None = None

    @override
    def gotLength(self, length: int | None) -> None:
        is_small = length is not None and length < IN_MEMORY_BYTES
        # Closed by Twisted, with the request or its connection.
        self.content = BytesIO()
        if not is_small:
            try:
                self.content = tempfile.TemporaryFile(dir=self._limits.spool_dir)  # noqa: SIM115
            except OSError as error:
                self._no_room(error)
        self._admit(length or 0)

    @override
    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        self._admit(self._received)
        if not self._is_refused:
            try:
                self.content.write(data)
            except OSError as error:
                self._no_room(error)

    @override
    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._is_refused:
            self._hang_up()
        else:
            self._is_whole = True
            super().requestReceived(command, path, version)

    def _admit(self, size: int) -> None:
        if self._is_refused or size <= self._limit:
            return
        if size > self._limits.signed_in_bytes:
            self._refuse()
        elif self._asking is None:
            self.channel._networkProducer.pauseProducing()
            self._asking = asyncio.ensure_future(self._ask())

    async def _ask(self) -> None:
        """Let a signed-in sender go on. What came meanwhile is at most one read of the socket."""
        try:
            authorization = self.requestHeaders.getRawHeaders(b"authorization", [b""])[0]
            is_signed_in = await self._limits.is_signed_in(authorization, self.received_cookies)
        except Exception:
            logger.exception("Cannot tell who sends a large body")
            is_signed_in = False
        if self.channel is None:
            return
        if is_signed_in:
            self._limit = self._limits.signed_in_bytes
        elif not self._is_whole and not self._is_refused:
            self._refuse()
        self.channel._networkProducer.resumeProducing()

    def _no_room(self, error: OSError) -> None:
        logger.error("A request's body could not be kept: %s", error)
        self._refuse(NO_ROOM)

    def _refuse(self, answer: bytes = TOO_LARGE) -> None:
        self._is_refused = True
        with contextlib.suppress(OSError):  # what it had not written yet
            self.content.close()
        self.content = BytesIO()
        # Else "100 Continue" would follow.
        self.requestHeaders.removeHeader(b"expect")
        self.channel.write(answer)
        asyncio.get_running_loop().call_later(LINGER_S, self._hang_up)

    def _hang_up(self) -> None:
        if self.channel is not None:
            self.channel.loseConnection()
