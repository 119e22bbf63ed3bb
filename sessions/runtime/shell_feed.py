"""A shell as one page sees it: pieces by offset, from the ring, or from the log when behind it."""

import uuid
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from sessions.events import log
from sessions.events.types import Output, ShellResized
from sessions.runtime.shell_record import ShellRecord
from sessions.runtime.shell_ring import ShellRing, Start
from sessions.sandbox.base import TerminalSize

PIECE_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """`length` bytes were not stored; the screen goes on at `start`."""

    length: int
    start: Start


FeedItem: TypeAlias = Piece | Gap | TerminalSize


def _end(output: Output) -> int:
    return output.offset + len(output.content)


class ShellFeed:
    """Pulled at the page's pace. It holds at most one batch of the log."""

    def __init__(
        self,
        session_id: uuid.UUID,
        shell_id: str,
        ring: ShellRing,
        record: ShellRecord,
        start: Start,
    ) -> None:
        self._session_id = session_id
        self._shell_id = shell_id
        self._ring = ring
        self._record = record
        self.begin = start
        self._size = start.size
        self._seq: int | None = None
        self._waiting: deque[Output | ShellResized] = deque()
        self.offset = start.offset

    async def next(self) -> FeedItem | None:
        """What comes next, or None when there is nothing more for now."""
        if self.offset < self._ring.start:
            return await self._from_log()
        self._seq = None
        self._waiting.clear()
        if self.offset >= self._ring.end:
            # A size that was set last has no byte behind it yet.
            return self._resized(self._ring.size) if self.offset == self._ring.end else None
        return self._resized(self._ring.size_at(self.offset)) or self._piece(
            Piece(self.offset, self._ring.read(self.offset, PIECE_BYTES))
        )

    def _resized(self, size: TerminalSize) -> TerminalSize | None:
        if size == self._size:
            return None
        self._size = size
        return size

    def _piece(self, piece: Piece) -> Piece:
        self.offset = piece.offset + len(piece.data)
        return piece

    async def _from_log(self) -> FeedItem | None:
        while not self._waiting and self.offset < self._record.stored_end:
            if not await self._read():
                break
        while self._waiting:
            item = self._stored(self._waiting.popleft())
            if item is not None:
                return item
        if self.offset < self._record.accepted_end:
            return None  # it is being stored
        return self._gap(self._ring.begin())

    def _stored(self, body: Output | ShellResized) -> FeedItem | None:
        if isinstance(body, ShellResized):
            return self._resized(TerminalSize(body.columns, body.rows))
        if body.offset > self.offset:
            self._waiting.appendleft(body)
            return self._gap(Start(body.offset, self._size))
        return self._piece(Piece(self.offset, body.content[self.offset - body.offset :]))

    async def _read(self) -> bool:
        """The next batch of the log; False when it has no more."""
        after = self._record.after(self.offset) if self._seq is None else self._seq
        batch = await log.read_shell(self._session_id, self._shell_id, after=after)
        if not batch:
            return False
        self._seq = batch[-1].seq
        for event in batch:
            body = event.body
            if isinstance(body, Output):
                is_wanted = _end(body) > self.offset
            else:
                is_wanted = isinstance(body, ShellResized) and body.offset >= self.offset
            if is_wanted and isinstance(body, Output | ShellResized):
                self._waiting.append(body)
        return True

    def _gap(self, start: Start) -> Gap:
        length = start.offset - self.offset
        self.offset = start.offset
        self._size = start.size
        return Gap(length, start)
