"""A tar archive (GNU format: names of any length and any bytes, files of any size)."""

from __future__ import annotations

from _stat import S_IMODE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import stat_result

    from sessions.sandbox.guest.output import Output

_BLOCK = 512
_RECORD = 20 * _BLOCK
_NAME_FIELD = 100
_MAX_OCTAL_SIZE = 8 << 30
_OWNER = 1000
_OWNER_NAME = b"agent"


class TarStream:
    def __init__(self, output: Output) -> None:
        self._output = output

    def folder(self, path: bytes, info: stat_result) -> None:
        self._header(path, info, b"5", 0)

    def symlink(self, path: bytes, info: stat_result, target: bytes) -> None:
        self._header(path, info, b"2", 0, target)

    def file(self, path: bytes, info: stat_result, fd: int) -> None:
        """Exactly as long as `info` says: cut when it grew meanwhile, zeros when it shrank."""
        self._header(path, info, b"0", info.st_size)
        missing = info.st_size - self._output.copy(fd, info.st_size)
        while missing > 0:
            piece = min(missing, 1 << 16)
            self._output.write(bytes(piece))
            missing -= piece
        self._pad(_BLOCK)

    def end(self) -> None:
        self._output.write(bytes(2 * _BLOCK))
        self._pad(_RECORD)

    def _pad(self, unit: int) -> None:
        self._output.write(bytes(-self._output.offset % unit))

    def _header(
        self, path: bytes, info: stat_result, kind: bytes, size: int, target: bytes = b""
    ) -> None:
        mode, mtime = S_IMODE(info.st_mode), max(0, int(info.st_mtime))
        if len(target) > _NAME_FIELD:
            self._long(target, b"K")
        if len(path) > _NAME_FIELD:
            self._long(path, b"L")
        self._output.write(_block(path, mode, size, mtime, kind, target))

    def _long(self, name: bytes, kind: bytes) -> None:
        self._output.write(_block(b"././@LongLink", 0o644, len(name) + 1, 0, kind, b""))
        self._output.write(name + b"\0")
        self._pad(_BLOCK)


def _block(path: bytes, mode: int, size: int, mtime: int, kind: bytes, target: bytes) -> bytes:
    before = (
        path[:_NAME_FIELD].ljust(_NAME_FIELD, b"\0")
        + _octal(mode, 8)
        + _octal(_OWNER, 8) * 2
        + _size(size)
        + _octal(mtime, 12)
    )
    after = (
        kind
        + target[:_NAME_FIELD].ljust(_NAME_FIELD, b"\0")
        + b"ustar  \0"
        + _OWNER_NAME.ljust(32, b"\0") * 2
    ).ljust(_BLOCK - len(before) - 8, b"\0")
    checksum = sum(before) + sum(after) + 8 * ord(" ")
    return before + b"%06o\0 " % checksum + after


def _octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def _size(value: int) -> bytes:
    """Past 8 GiB binary, marked by the highest bit."""
    if value < _MAX_OCTAL_SIZE:
        return _octal(value, 12)
    return b"\x80" + value.to_bytes(11, "big")
