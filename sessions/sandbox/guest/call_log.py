"""A file in the container with all a command wrote, for commands that come later to read."""

# ruff: noqa: PTH103, PTH108, SIM105
# pathlib and contextlib would cost the guest memory.

from __future__ import annotations

import os

LOG_BYTES = 1 << 30
"""Most that one call's file may hold; past it the file says that it was cut."""
TOTAL_BYTES = 2 << 30
"""Most that all files may hold; past it the oldest are removed."""
_CUT = b"\n[berth: the log was cut here]\n"


class LogFolder:
    """Keeps `<folder>/<exec_id>.log`, readable by everybody in the container."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}

    def open(self, exec_id: str) -> CallLog | None:
        """None when the container has nowhere to put it."""
        path = self._folder + "/" + exec_id + ".log"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.makedirs(self._folder, 0o755, exist_ok=True)
            return CallLog(self, path, os.open(path, flags, 0o644))
        except OSError:
            return None

    def closed(self, path: str, size: int) -> None:
        self._sizes[path] = size
        while len(self._sizes) > 1 and sum(self._sizes.values()) > TOTAL_BYTES:
            oldest = next(iter(self._sizes))
            del self._sizes[oldest]
            try:
                os.unlink(oldest)
            except OSError:
                pass


class CallLog:
    def __init__(self, folder: LogFolder, path: str, fd: int) -> None:
        self.path = path
        self._folder = folder
        self._fd = fd
        self._size = 0
        self._is_cut = False

    def write(self, data: bytes) -> None:
        """A full disk or the bound cuts the file, never the command's output."""
        if self._is_cut:
            return
        try:
            if self._size + len(data) > LOG_BYTES:
                data = data[: LOG_BYTES - self._size] + _CUT
                self._is_cut = True
            written = os.write(self._fd, data)
            self._size += written
            self._is_cut = self._is_cut or written < len(data)
        except OSError:
            self._is_cut = True

    def close(self) -> None:
        os.close(self._fd)
        self._folder.closed(self.path, self._size)
