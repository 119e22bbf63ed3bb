"""The end of what a shell printed, by absolute offsets, and what a screen needs to begin there."""

from collections import deque
from dataclasses import dataclass

from sessions.runtime.shell_modes import ModeTracker
from sessions.sandbox.base import TerminalSize

RING_BYTES = 1024 * 1024
_SMALL_BYTES = 4096
_PIECE_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Start:
    """Where a fresh screen begins: `prelude` is written before the bytes from `offset` on."""

    offset: int
    size: TerminalSize
    prelude: bytes = b""


class ShellRing:
    """Holds at most about `RING_BYTES`; what is older has been seen by the tracker only."""

    def __init__(self, size: TerminalSize) -> None:
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._modes = ModeTracker()
        self._sizes: deque[tuple[int, TerminalSize]] = deque([(0, size)])
        """Each with the offset it begins at; the first is that of the ring's start."""
        self.start = 0
        self.end = 0

    def append(self, data: bytes) -> None:
        for at in range(0, len(data), _PIECE_BYTES):
            self._append(data[at : at + _PIECE_BYTES])

    def _append(self, data: bytes) -> None:
        if self._pieces and len(self._pieces[-1][1]) + len(data) <= _SMALL_BYTES:
            offset, last = self._pieces.pop()
            self._pieces.append((offset, last + data))
        else:
            self._pieces.append((self.end, data))
        self.end += len(data)
        while self.end - self.start > RING_BYTES:
            _, oldest = self._pieces.popleft()
            self._modes.feed(oldest)
            self._move_start(self.start + len(oldest))

    def skip_to(self, offset: int) -> None:
        """Bytes up to `offset` are missing for good."""
        for _, piece in self._pieces:
            self._modes.feed(piece)
        self._pieces.clear()
        self._modes.cut()
        self.end = offset
        self._move_start(offset)

    def _move_start(self, offset: int) -> None:
        self.start = offset
        while len(self._sizes) > 1 and self._sizes[1][0] <= offset:
            self._sizes.popleft()

    def resize(self, size: TerminalSize, offset: int | None = None) -> None:
        """What comes from `offset` on, by default from now on, is for this size."""
        start = self.end if offset is None else max(offset, self.start)
        if self._sizes[-1][0] == start:
            self._sizes.pop()
        self._sizes.append((start, size))
        self._move_start(self.start)

    @property
    def size(self) -> TerminalSize:
        return self._sizes[-1][1]

    def size_at(self, offset: int) -> TerminalSize:
        """Of the screen that the byte at `offset` was printed for."""
        found = self._sizes[0][1]
        for start, size in self._sizes:
            if start > offset:
                break
            found = size
        return found

    def next_resize(self, offset: int) -> int:
        """The first offset behind `offset` at which the size changes; `end` for none."""
        return next((start for start, _ in self._sizes if start > offset), self.end)

    def read(self, offset: int, max_bytes: int) -> bytes:
        """Some bytes from `offset` on, all for the same size; empty at the end."""
        limit = min(self.next_resize(offset), offset + max_bytes)
        for start, piece in reversed(self._pieces):
            if start <= offset:
                return piece[offset - start : limit - start]
        return b""

    def begin(self) -> Start:
        """For a screen that has nothing yet."""
        if self.start == 0:
            return Start(0, self.size_at(0))
        offset = self.start
        while offset < self.end:
            piece = self.read(offset, _PIECE_BYTES)
            skipped = self._modes.skip(piece)
            offset += skipped
            if skipped < len(piece):
                break
        return Start(offset, self.size_at(offset), self._modes.prelude())

    @property
    def is_alternate(self) -> bool:
        """Whether a program has the screen to itself by now."""
        modes = self._modes.copy()
        for _, piece in self._pieces:
            modes.feed(piece)
        return modes.is_alternate
