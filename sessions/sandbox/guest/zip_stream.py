"""A zip archive, stored and not compressed, written without ever going back.

Files whose length is not sure to fit are followed by a data descriptor; everything past 4 GiB or
65,535 entries uses the 64-bit records.
"""

from __future__ import annotations

import os
import time
from binascii import crc32
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import stat_result

    from sessions.sandbox.guest.output import Output

_LOCAL = Struct("<IHHHHHIIIHH")
_CENTRAL = Struct("<IHHHHHHIIIHHHHHII")
_DESCRIPTOR = Struct("<IIII")
_DESCRIPTOR_64 = Struct("<IIQQ")
_END = Struct("<IHHHHIIH")
_END_64 = Struct("<IQHHIIQQQQ")
_LOCATOR_64 = Struct("<IIQI")
_MAX_16 = 0xFFFF
_MAX_32 = 0xFFFFFFFF
_MAX_PATH = 0xFFFF
_WHOLE = 1 << 20
"""Files up to this are read first, so that their header can say everything."""
_PIECE = 256 << 10
_HAS_DESCRIPTOR = 0x08
_IS_UTF8 = 0x800
_MADE_BY_UNIX = 3 << 8 | 45
_DOS_FOLDER = 0x10


class _Member:
    def __init__(self, path: bytes, info: stat_result, offset: int) -> None:
        self.path = path[:_MAX_PATH]
        self.mode = info.st_mode & _MAX_16
        self.is_folder = path.endswith(b"/")
        self.flags = _IS_UTF8 if _is_utf8(path) else 0
        self.date, self.time = _dos_time(info.st_mtime)
        # The exact time, in UTC, beside the coarse local one that the format began with.
        self.stamp = b"UT\x05\x00\x01" + (int(info.st_mtime) & _MAX_32).to_bytes(4, "little")
        self.offset = offset
        self.needs = 20
        self.crc = 0
        self.size = 0

    def local(self, extra: bytes, shown_size: int) -> bytes:
        extra += self.stamp
        head = _LOCAL.pack(
            0x04034B50, self.needs, self.flags, 0, self.time, self.date, self.crc,
            shown_size, shown_size, len(self.path), len(extra),
        )  # fmt: skip
        return head + self.path + extra

    def central(self) -> bytes:
        large = [value for value in (self.size, self.size) if self.size >= _MAX_32]
        if self.offset >= _MAX_32:
            large.append(self.offset)
        extra = _extra_64(large) + self.stamp if large else self.stamp
        size = min(self.size, _MAX_32)
        attributes = self.mode << 16 | (_DOS_FOLDER if self.is_folder else 0)
        head = _CENTRAL.pack(
            0x02014B50, _MADE_BY_UNIX, 45 if large else self.needs, self.flags, 0,
            self.time, self.date, self.crc, size, size, len(self.path), len(extra),
            0, 0, 0, attributes, min(self.offset, _MAX_32),
        )  # fmt: skip
        return head + self.path + extra


class ZipStream:
    def __init__(self, output: Output) -> None:
        self._output = output
        self._central = bytearray()
        self._count = 0

    def folder(self, path: bytes, info: stat_result) -> None:
        self._whole(path, info, b"")

    def symlink(self, path: bytes, info: stat_result, target: bytes) -> None:
        self._whole(path, info, target)

    def file(self, path: bytes, info: stat_result, fd: int) -> None:
        """At most as long as `info` says, also when the file grows meanwhile."""
        if info.st_size <= _WHOLE:
            self._whole(path, info, _read_up_to(fd, info.st_size))
        else:
            self._streamed(path, info, fd)

    def _whole(self, path: bytes, info: stat_result, data: bytes) -> None:
        member = _Member(path, info, self._output.offset)
        member.crc, member.size = crc32(data), len(data)
        self._output.write(member.local(b"", member.size))
        self._output.write(data)
        self._close(member)

    def _streamed(self, path: bytes, info: stat_result, fd: int) -> None:
        member = _Member(path, info, self._output.offset)
        is_large = info.st_size >= _MAX_32
        member.flags |= _HAS_DESCRIPTOR
        member.needs = 45 if is_large else 20
        if is_large:
            self._output.write(member.local(_extra_64([0, 0]), _MAX_32))
        else:
            self._output.write(member.local(b"", 0))
        left = info.st_size
        while left and (data := os.read(fd, min(left, _PIECE))):
            member.crc = crc32(data, member.crc)
            left -= len(data)
            self._output.write(data)
        member.size = info.st_size - left
        descriptor = _DESCRIPTOR_64 if is_large else _DESCRIPTOR
        self._output.write(descriptor.pack(0x08074B50, member.crc, member.size, member.size))
        self._close(member)

    def _close(self, member: _Member) -> None:
        self._central += member.central()
        self._count += 1

    def end(self) -> None:
        start, size = self._output.offset, len(self._central)
        self._output.write(bytes(self._central))
        count = self._count
        if count >= _MAX_16 or start >= _MAX_32 or size >= _MAX_32:
            at = self._output.offset
            self._output.write(
                _END_64.pack(0x06064B50, 44, _MADE_BY_UNIX, 45, 0, 0, count, count, size, start)
            )
            self._output.write(_LOCATOR_64.pack(0x07064B50, 0, at, 1))
        shown = min(count, _MAX_16)
        self._output.write(
            _END.pack(0x06054B50, 0, 0, shown, shown, min(size, _MAX_32), min(start, _MAX_32), 0)
        )


def _extra_64(values: list[int]) -> bytes:
    body = b"".join(value.to_bytes(8, "little") for value in values)
    return b"\x01\x00" + len(body).to_bytes(2, "little") + body


def _read_up_to(fd: int, size: int) -> bytes:
    pieces = []
    while size and (data := os.read(fd, size)):
        pieces.append(data)
        size -= len(data)
    return b"".join(pieces)


def _is_utf8(path: bytes) -> bool:
    """Names that are not go in as they are, without the mark: `unzip` gives the bytes back."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _dos_time(seconds: float) -> tuple[int, int]:
    """Date and time in the format's own two numbers, which know no year before 1980."""
    try:
        t = time.gmtime(seconds)
    except (OverflowError, OSError, ValueError):
        t = time.gmtime(0)
    if not 1980 <= t.tm_year <= 2107:
        return (0 << 9) | (1 << 5) | 1, 0
    date = (t.tm_year - 1980) << 9 | t.tm_mon << 5 | t.tm_mday
    return date, t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec // 2
