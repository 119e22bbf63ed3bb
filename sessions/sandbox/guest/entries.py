"""What the protocol says of one thing in a folder."""

from __future__ import annotations

import os
from _stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISREG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import stat_result


def kind_of(info: stat_result) -> str:
    if S_ISREG(info.st_mode):
        return "file"
    if S_ISDIR(info.st_mode):
        return "folder"
    return "symlink" if S_ISLNK(info.st_mode) else "other"


def describe(info: stat_result, name: bytes, folder: int) -> list[object]:
    """Kind, size, time of the last change in seconds, mode, target of a symbolic link."""
    target = None
    if S_ISLNK(info.st_mode):
        target = text(os.readlink(name, dir_fd=folder))
    return [kind_of(info), info.st_size, info.st_mtime, S_IMODE(info.st_mode), target]


def text(name: bytes) -> str:
    """Undecodable bytes become lone surrogates, which JSON carries as escapes."""
    return name.decode("utf-8", "surrogateescape")


def raw(name: str) -> bytes:
    """Raises: UnicodeEncodeError for surrogates that no bytes stand behind."""
    return name.encode("utf-8", "surrogateescape")
