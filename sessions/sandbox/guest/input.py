"""Bytes on their way into a process: buffered within the credit that was granted."""

from __future__ import annotations

import os

from sessions.sandbox.guest import wire
from sessions.sandbox.guest.loop import WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sessions.sandbox.guest.loop import Loop

WINDOW = 256 << 10


class Input:
    """Owns `fd`. `grant(limit)` is called as the process takes bytes in."""

    def __init__(self, loop: Loop, fd: int) -> None:
        self._loop = loop
        self._fd = fd
        self._buffer = bytearray()
        self._is_ending = False
        self._is_closed = False
        self.received = 0
        self.limit = WINDOW
        self.grant: Callable[[int], None] | None = None
        os.set_blocking(fd, False)

    def take(self, offset: int, data: bytes) -> None:
        """Raises: wire.WireError for bytes out of place or beyond the credit."""
        if offset != self.received or offset + len(data) > self.limit:
            raise wire.WireError("input out of place or beyond its credit")
        if self._is_ending:
            raise wire.WireError("input after its end")
        self.received += len(data)
        if not self._is_closed:
            self._buffer += data
        self._flush()

    def end(self) -> None:
        self._is_ending = True
        self._flush()

    def close(self) -> None:
        """Give up what is left; the process sees the end of its input."""
        if self._is_closed:
            return
        self._is_closed = True
        self._buffer = bytearray()
        self._loop.unwatch(self._fd)
        os.close(self._fd)

    def _flush(self, _events: int = 0) -> None:
        while self._buffer and not self._is_closed:
            try:
                del self._buffer[: os.write(self._fd, self._buffer)]
            except BlockingIOError:
                self._loop.watch(self._fd, WRITE, self._flush)
                break
            except OSError:
                self.close()  # it closed its end: what else comes is dropped
        if not self._buffer and not self._is_closed:
            self._loop.unwatch(self._fd)
            if self._is_ending:
                self.close()
        self._grant_more()

    def _grant_more(self) -> None:
        limit = self.received - len(self._buffer) + WINDOW
        if limit - self.limit >= WINDOW // 2:
            self.limit = limit
            if self.grant is not None:
                self.grant(limit)
