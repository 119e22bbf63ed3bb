"""The parts of a file that hold data, and how a GNU tar archive tells of them."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import stat_result

_MIN_HOLE = 64 << 10
"""Less is not worth an entry."""
_MAX_PARTS = 100_000
"""A file in more pieces is read through: its map alone would be megabytes."""
_IN_HEADER = 4
_IN_BLOCK = 21
_BLOCK = 512


def parts_of(fd: int, info: stat_result) -> list[tuple[int, int]] | None:
    """Offset and length of each part with data; None for a file that is to be read through."""
    if info.st_blocks * 512 > info.st_size - _MIN_HOLE:
        return None
    parts: list[tuple[int, int]] = []
    at = 0
    while at < info.st_size and len(parts) <= _MAX_PARTS:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # a hole up to the end
            return None  # a file system that does not tell
        end = min(end, info.st_size)
        if start >= end:
            break
        parts.append((start, end - start))
        at = end
    if len(parts) > _MAX_PARTS:
        return None
    if not parts or sum(parts[-1]) < info.st_size:
        parts.append((info.st_size, 0))  # says where the file ends
    return parts


def header_fields(parts: list[tuple[int, int]], size: int) -> bytes:
    """What goes into the file's own header, from byte 386 on: four parts, and its real size."""
    more = len(parts) > _IN_HEADER
    return _entries(parts[:_IN_HEADER], _IN_HEADER) + bytes([more]) + number(size, 12)


def header_blocks(parts: list[tuple[int, int]]) -> bytes:
    """The blocks that follow the header with the parts it has no room for."""
    rest = parts[_IN_HEADER:]
    blocks = b""
    while rest:
        more = len(rest) > _IN_BLOCK
        blocks += (_entries(rest[:_IN_BLOCK], _IN_BLOCK) + bytes([more])).ljust(_BLOCK, b"\0")
        rest = rest[_IN_BLOCK:]
    return blocks


def _entries(parts: list[tuple[int, int]], room: int) -> bytes:
    told = b"".join(number(offset, 12) + number(length, 12) for offset, length in parts)
    return told.ljust(room * 24, b"\0")


def number(value: int, width: int) -> bytes:
    """Octal, or binary marked by the highest bit where that is too short."""
    if value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return b"\x80" + value.to_bytes(width - 1, "big")
