"""What a file process answers: data on its standard output, in large pieces."""

from __future__ import annotations

import os

_PIECE = 256 << 10
_SMALL = 64 << 10


class Output:
    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._buffer = bytearray()
        self.offset = 0
        """Bytes written so far, the buffered ones included."""

    def write(self, data: bytes) -> None:
        self.offset += len(data)
        self._buffer += data
        if len(self._buffer) >= _PIECE:
            self.flush()

    def flush(self) -> None:
        view = memoryview(self._buffer)
        while view:
            view = view[os.write(self._fd, view) :]
        self._buffer = bytearray()

    def copy(self, source: int, size: int) -> int:
        """From the file `source`; large ones without their bytes passing through this process.

        Returns how many there were: fewer than `size` where the file is shorter.
        """
        if size <= _SMALL:
            # Thousands of small files are worth more together than sent one by one.
            data = os.read(source, size)
            self.write(data)
            return len(data)
        self.flush()
        left = size
        while left:
            sent = os.sendfile(self._fd, source, None, min(left, 1 << 20))
            if sent == 0:
                break
            left -= sent
        self.offset += size - left
        return size - left
