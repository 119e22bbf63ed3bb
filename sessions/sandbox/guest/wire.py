"""The frames both ends of a channel speak. docs/guest-protocol.md is the contract.

Used by the guest (standard library only) and by the host; both ends treat the other as hostile.
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False  # the typing module would cost the guest memory
if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
MAX_PAYLOAD = 1 << 20
MAX_OFFSET = 1 << 62
"""Offsets and credit limits stay below this; anything larger is a lie."""

# Both directions
HELLO = 1
PING = 2
PONG = 3
ERROR = 4
CREDIT = 5
# Host to guest
START = 16
REQUEST = 17
ACK = 18
INPUT = 19
INPUT_END = 20
KILL = 21
RESIZE = 22
CANCEL = 23
# Guest to host
OUTPUT = 32
ENDED = 33
RESULT = 34
STARTED = 35

# Stream numbers within one id
STDIN = 0
STDOUT = 1
STDERR = 2
PTY = 3

HEADER = Struct("!IBBHI")
"""Payload length, type, flags (0), reserved (0), id."""
POSITION = Struct("!BQ")
"""Stream number and offset: the whole of CREDIT and ACK, the head of OUTPUT and INPUT."""


class WireError(ValueError):
    """The other end broke the framing; nothing after it can be trusted."""


def frame(kind: int, ident: int, payload: bytes = b"") -> bytes:
    return HEADER.pack(len(payload), kind, 0, 0, ident) + payload


def position_frame(kind: int, ident: int, stream: int, offset: int) -> bytes:
    """A CREDIT or ACK frame."""
    return HEADER.pack(POSITION.size, kind, 0, 0, ident) + POSITION.pack(stream, offset)


def data_head(kind: int, ident: int, stream: int, offset: int, size: int) -> bytes:
    """What goes before `size` bytes of data in an OUTPUT or INPUT frame."""
    head = HEADER.pack(POSITION.size + size, kind, 0, 0, ident)
    return head + POSITION.pack(stream, offset)


def parse_position(payload: bytes) -> tuple[int, int]:
    """Stream and offset of a CREDIT, ACK, OUTPUT or INPUT payload. Raises: WireError."""
    if len(payload) < POSITION.size:
        raise WireError("payload too short for a position")
    stream, offset = POSITION.unpack_from(payload)
    if offset > MAX_OFFSET:
        raise WireError("offset out of range")
    return stream, offset


class FrameDecoder:
    """Cuts a byte stream into frames. Holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._partial = bytearray()
        """The beginning of a frame of which some is still missing."""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yields `(type, id, payload)`; to be consumed to its end. Raises: WireError."""
        at, size = 0, len(data)
        while self._partial and at < size:
            # Only what this one frame lacks is copied, not all that came with it.
            taken = data[at : at + _missing(self._partial)]
            self._partial += taken
            at += len(taken)
            if not _missing(self._partial):
                _length, kind, ident = _header(self._partial, 0)
                payload = bytes(memoryview(self._partial)[HEADER.size :])
                self._partial = bytearray()
                yield kind, ident, payload
        while size - at >= HEADER.size:
            length, kind, ident = _header(data, at)
            end = at + HEADER.size + length
            if end > size:
                break
            yield kind, ident, data[at + HEADER.size : end]
            at = end
        self._partial += data[at:]


def _header(data: bytes | bytearray, at: int) -> tuple[int, int, int]:
    """Payload length, type and id. Raises: WireError."""
    length, kind, flags, reserved, ident = HEADER.unpack_from(data, at)
    if length > MAX_PAYLOAD:
        raise WireError("frame too long")
    if flags or reserved:
        raise WireError("reserved bits set")
    return length, kind, ident


def _missing(partial: bytearray) -> int:
    """How many bytes the frame lacks; while its header does, how many that lacks."""
    if len(partial) < HEADER.size:
        return HEADER.size - len(partial)
    return HEADER.size + _header(partial, 0)[0] - len(partial)
