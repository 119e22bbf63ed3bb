"""Bytes that wait to be read, joined where the guest sent them in crumbs.

A guest may send its output byte by byte. Kept one by one, a window of 1 MiB would take a hundred
times its size in memory.
"""

SMALL_BYTES = 4096
FULL_BYTES = 64 * 1024


class Chunk:
    """Consecutive bytes of one stream from `offset` on."""

    __slots__ = ("_data", "offset", "stream")

    def __init__(self, stream: int, offset: int, data: bytes) -> None:
        self.stream = stream
        self.offset = offset
        self._data: bytes | bytearray = data

    def __len__(self) -> int:
        return len(self._data)

    def take(self, data: bytes) -> bool:
        """Add what follows directly; False when it is better kept apart, uncopied."""
        if len(data) > SMALL_BYTES or len(self._data) + len(data) > FULL_BYTES:
            return False
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += data
        return True

    def data(self) -> bytes:
        return bytes(self._data)
