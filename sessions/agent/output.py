"""What is kept of a command's output: for the log without the middle, for the model less still."""

from collections import deque
from collections.abc import Iterable

from sessions.events.types import Output, OutputDropped, Stream
from sessions.sandbox.base import ExecOutput
from sessions.sandbox.limits import MIB

MAX_TAIL_BYTES = 8 * MIB
PIECE_BYTES = 200
"""About what a piece takes in memory beside its data."""
MAX_OUTPUT_LENGTH = 256 * 1024
"""Of each stream, however much the model asks to see."""


class HeadTail:
    """The first and the last bytes of a stream, at most `limit` together."""

    def __init__(self, limit: int) -> None:
        self._head_limit = limit // 2
        self._tail_limit = limit - limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data[-self._tail_limit :]
        if len(self._tail) > 2 * self._tail_limit:
            del self._tail[: -self._tail_limit]

    def skip(self, length: int) -> None:
        """`length` bytes came and went unseen."""
        self.total += length

    def narrowed(self, limit: int) -> "HeadTail":
        """As if it had been kept with `limit`, which is not above its own, from the start."""
        narrow = HeadTail(limit)
        narrow._head = self._head[: narrow._head_limit]
        narrow._tail = (self._head[narrow._head_limit :] + self._tail)[-narrow._tail_limit :]
        narrow.total = self.total
        return narrow

    def text(self, log_path: str = "") -> str:
        """The whole stream, or head and tail with the number of bytes left out between them."""
        tail = bytes(self._tail[-self._tail_limit :])
        omitted = self.total - len(self._head) - len(tail)
        if omitted <= 0:
            return (bytes(self._head) + tail).decode("utf-8", "replace")
        where = f"; all of it is in {log_path}" if log_path else ""
        note = f"\n[... {omitted:,} bytes omitted{where} ...]\n"
        return self._head.decode("utf-8", "replace") + note + tail.decode("utf-8", "replace")


class CappedOutput:
    """Decides which pieces of one call's output are stored.

    Up to the cap everything is stored as it comes, so that nothing below it can be lost with this
    process. What follows is held back in memory as a tail of at most an eighth of the cap and
    `MAX_TAIL_BYTES`, given out by `finish` behind an `OutputDropped` for each stream that lost its
    middle.
    """

    def __init__(self, call_id: str, max_bytes: int) -> None:
        self._call_id = call_id
        self._tail_limit = min(max_bytes // 8, MAX_TAIL_BYTES)
        self._head_limit = max_bytes
        self._stored = 0
        self._tail: deque[ExecOutput] = deque()
        self._tail_bytes = 0
        self._dropped: dict[Stream, tuple[int, int]] = {}

    def stored_before(self, length: int) -> None:
        """`length` bytes are in the log from an earlier process."""
        self._stored += length

    def add(self, piece: ExecOutput) -> Output | None:
        """The event to store now, None when the piece is held back."""
        if self._stored + len(piece.data) <= self._head_limit and not self._tail:
            self._stored += len(piece.data)
            return Output(self._call_id, piece.stream, piece.offset, piece.data)
        # Once one piece is held back all are, so that the order of the streams is kept.
        self._stored = self._head_limit
        self._tail.append(piece)
        self._tail_bytes += len(piece.data) + PIECE_BYTES
        while self._tail_bytes > self._tail_limit and len(self._tail) > 1:
            self._drop(self._tail.popleft())
        return None

    def _drop(self, piece: ExecOutput) -> None:
        self._tail_bytes -= len(piece.data) + PIECE_BYTES
        offset, length = self._dropped.get(piece.stream, (piece.offset, 0))
        self._dropped[piece.stream] = (offset, length + len(piece.data))

    def finish(self) -> Iterable[Output | OutputDropped]:
        for stream, (offset, length) in self._dropped.items():
            yield OutputDropped(self._call_id, stream, offset, length)
        for piece in self._tail:
            yield Output(self._call_id, piece.stream, piece.offset, piece.data)
