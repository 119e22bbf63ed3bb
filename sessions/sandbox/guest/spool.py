"""The bytes of one output stream that the host has not yet said it stored."""

from __future__ import annotations

SPOOL_BYTES = 4 << 20
"""Past this the pipe is not read, so that the command waits; nothing is dropped."""


class Spool:
    def __init__(self) -> None:
        self._bytes = bytearray()
        self.start = 0
        """Offset of the first byte still held."""
        self.end = 0
        """Offset after the last byte ever produced."""

    @property
    def free(self) -> int:
        return SPOOL_BYTES - len(self._bytes)

    def append(self, data: bytes) -> None:
        self._bytes += data
        self.end += len(data)

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`, which lies within `start` and `end`."""
        at = offset - self.start
        return bytes(self._bytes[at : at + size])

    def forget(self, offset: int) -> None:
        """Drop what lies before `offset`."""
        if offset > self.start:
            del self._bytes[: offset - self.start]
            self.start = offset
            if not self._bytes:
                self._bytes = bytearray()  # gives the memory of a past flood back
