"""A tar archive (GNU format: names of any length and any bytes, files of any size, with holes)."""

from __future__ import annotations

import os
from _stat import S_IMODE

from sessions.sandbox.guest import sparse
from sessions.sandbox.guest.sparse import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import stat_result

    from sessions.sandbox.guest.output import Output

_BLOCK = 512
_RECORD = 20 * _BLOCK
_NAME_FIELD = 100
_SPARSE_FIELDS = 386
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
        parts = sparse.parts_of(fd, info)
        if parts is None:
            os.lseek(fd, 0, os.SEEK_SET)
            self._header(path, info, b"0", info.st_size)
            self._content(fd, info.st_size)
        else:
            fields = sparse.header_fields(parts, info.st_size)
            self._header(path, info, b"S", sum(length for _, length in parts), fields=fields)
            self._output.write(sparse.header_blocks(parts))
            for offset, length in parts:
                os.lseek(fd, offset, os.SEEK_SET)
                self._content(fd, length)
        self._pad(_BLOCK)

    def _content(self, fd: int, size: int) -> None:
        missing = size - self._output.copy(fd, size)
        while missing > 0:
            piece = min(missing, 1 << 16)
            self._output.write(bytes(piece))
            missing -= piece

    def end(self) -> None:
        self._output.write(bytes(2 * _BLOCK))
        self._pad(_RECORD)

    def _pad(self, unit: int) -> None:
        self._output.write(bytes(-self._output.offset % unit))

    def _header(
        self,
        path: bytes,
        info: stat_result,
        kind: bytes,
        size: int,
        target: bytes = b"",
        fields: bytes = b"",
    ) -> None:
        mode, mtime = S_IMODE(info.st_mode), max(0, int(info.st_mtime))
        if len(target) > _NAME_FIELD:
            self._long(target, b"K")
        if len(path) > _NAME_FIELD:
            self._long(path, b"L")
        self._output.write(_block(path, mode, size, mtime, kind + target, fields))

    def _long(self, name: bytes, kind: bytes) -> None:
        self._output.write(_block(b"././@LongLink", 0o644, len(name) + 1, 0, kind))
        self._output.write(name + b"\0")
        self._pad(_BLOCK)


def _block(
    path: bytes, mode: int, size: int, mtime: int, kind_and_target: bytes, fields: bytes = b""
) -> bytes:
    before = (
        path[:_NAME_FIELD].ljust(_NAME_FIELD, b"\0")
        + number(mode, 8)
        + number(_OWNER, 8) * 2
        + number(size, 12)
        + number(mtime, 12)
    )
    after = (
        kind_and_target[: _NAME_FIELD + 1].ljust(_NAME_FIELD + 1, b"\0")
        + b"ustar  \0"
        + _OWNER_NAME.ljust(32, b"\0") * 2
    ).ljust(_SPARSE_FIELDS - len(before) - 8, b"\0")
    after = (after + fields).ljust(_BLOCK - len(before) - 8, b"\0")
    checksum = sum(before) + sum(after) + 8 * ord(" ")
    return before + b"%06o\0 " % checksum + after
