"""The bytes of one output stream that the host has not yet said it stored."""

from __future__ import annotations

from _bisect import bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = 64 << 10
SPOOL_BYTES = 4 << 20
"""Past this the pipe is not read, so that the command waits; nothing is dropped."""
ROOM_BYTES = 32 << 20
_SURE_BYTES = 8 << 20
_SMALL = 16 << 10


class Room:
    """What all spools hold together: an eighth of the container's memory, at least 8 MiB and at most
    `ROOM_BYTES`, so that no number of commands makes the guest what the kernel ends for memory.

    Beyond it a stream holds one read of the pipe at a time, so that all of them go on.
    """

    def __init__(self, memory_limit: Callable[[], int | None]) -> None:
        self.held = 0
        self._memory_limit = memory_limit
        self._limit: int | None = None

    def is_full(self) -> bool:
        if self.held < _SURE_BYTES:
            self._limit = None  # asked for anew: the engine changes it while the container runs
            return False
        if self._limit is None:
            memory = self._memory_limit() or 8 * ROOM_BYTES
            self._limit = max(_SURE_BYTES, min(ROOM_BYTES, memory // 8))
        return self.held >= self._limit


class Spool:
    """Keeps what was read as it was read, so that a flood is passed on without a copy."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._chunks: list[bytes] = []
        self._starts: list[int] = []
        self.start = 0
        """Offset of the first byte still wanted."""
        self.end = 0
        """Offset after the last byte ever produced."""

    def may_read(self) -> bool:
        """Whether there is room for `READ_BYTES`."""
        held = self.end - self.start
        return not held or (held <= SPOOL_BYTES - READ_BYTES and not self._room.is_full())

    def append(self, data: bytes) -> None:
        if self._chunks and len(self._chunks[-1]) + len(data) <= _SMALL:
            self._chunks[-1] += data  # a program that writes byte by byte makes few chunks, too
        else:
            self._chunks.append(data)
            self._starts.append(self.end)
        self.end += len(data)
        self._room.held += len(data)

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
        self._room.held -= offset - self.start
        self.start = offset
        whole = bisect_right(self._starts, offset) - 1
        if offset == self.end:
            whole = len(self._chunks)
        del self._chunks[:whole], self._starts[:whole]
