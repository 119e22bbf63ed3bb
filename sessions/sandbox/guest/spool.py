"""The bytes of one output stream that the host has not yet said it stored."""

from __future__ import annotations

from _bisect import bisect_right

SPOOL_BYTES = 4 << 20
"""Past this the pipe is not read, so that the command waits; nothing is dropped."""
_SMALL = 16 << 10


class Spool:
    """Keeps what was read as it was read, so that a flood is passed on without a copy."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._starts: list[int] = []
        self.start = 0
        """Offset of the first byte still wanted."""
        self.end = 0
        """Offset after the last byte ever produced."""

    @property
    def free(self) -> int:
        return SPOOL_BYTES - (self.end - self.start)

    def append(self, data: bytes) -> None:
        if self._chunks and len(self._chunks[-1]) + len(data) <= _SMALL:
            self._chunks[-1] += data  # a program that writes byte by byte makes few chunks, too
        else:
            self._chunks.append(data)
            self._starts.append(self.end)
        self.end += len(data)

    def read(self, offset: int, size: int) -> bytes:
        """Some bytes from `offset`, which lies within `start` and `end`: at most `size`."""
        if offset == self.end:
            return b""
        index = bisect_right(self._starts, offset) - 1
        at = offset - self._starts[index]
        return self._chunks[index][at : at + size]

    def forget(self, offset: int) -> None:
        """Drop what lies before `offset`."""
        if offset <= self.start:
            return
        self.start = offset
        whole = bisect_right(self._starts, offset) - 1
        if offset == self.end:
            whole = len(self._chunks)
        del self._chunks[:whole], self._starts[:whole]
