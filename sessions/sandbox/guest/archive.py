"""A folder as a stream, entries in the byte order of their names."""

from __future__ import annotations

import os
from _stat import S_ISDIR, S_ISLNK, S_ISREG

from sessions.sandbox.guest.contained import PathError, Place
from sessions.sandbox.guest.output import Output
from sessions.sandbox.guest.tar_stream import TarStream
from sessions.sandbox.guest.upload import UPLOAD_PREFIX
from sessions.sandbox.guest.zip_stream import ZipStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import stat_result

MAX_DEPTH = 200


def write_archive(place: Place, kind: str, fd: int = 1) -> dict[str, object]:
    """Names start with the folder's own, except for the workspace itself.

    What cannot be read, or is neither file, folder nor link, is left out and counted; the latter,
    which hold no bytes, as `special` as well.
    """
    if not S_ISDIR(place.lstat().st_mode):
        raise PathError("wrong_entry_kind", "not a folder")
    if kind not in ("zip", "tar"):
        raise PathError("bad_request", "bad value for format")
    folder = place.open_folder()
    output = Output(fd)
    stream = ZipStream(output) if kind == "zip" else TarStream(output)
    skipped = special = 0
    prefix = place.name + b"/" if place.name else b""
    if prefix:
        stream.folder(prefix, os.fstat(folder))
    for parent, name, path, info in _walk(folder, prefix, 0):
        if S_ISDIR(info.st_mode):
            stream.folder(path, info)
            skipped += path.count(b"/") - prefix.count(b"/") > MAX_DEPTH
        elif not _add(stream, parent, name, path, info):
            skipped += 1
            special += not (S_ISREG(info.st_mode) or S_ISLNK(info.st_mode))
    stream.end()
    output.flush()
    return {"skipped": skipped, "special": special}


def _walk(
    folder: int, prefix: bytes, depth: int
) -> Iterator[tuple[int, bytes, bytes, stat_result]]:
    """Open folder, name in it, path in the archive (of a folder with a slash), and its facts.

    What is in folders nested deeper than `MAX_DEPTH` is left out: each level keeps a file open.
    """
    names = sorted(os.fsencode(name) for name in os.listdir(folder))
    for name in names:
        if name.startswith(UPLOAD_PREFIX):
            continue
        try:
            info = os.lstat(name, dir_fd=folder)
            if not S_ISDIR(info.st_mode):
                yield folder, name, prefix + name, info
                continue
            inner = Place(folder, name).open_folder()
        except (FileNotFoundError, PermissionError, NotADirectoryError):
            continue  # gone, or not for this user
        try:
            yield folder, name, prefix + name + b"/", info
            if depth < MAX_DEPTH:
                yield from _walk(inner, prefix + name + b"/", depth + 1)
        finally:
            os.close(inner)


def _add(
    stream: ZipStream | TarStream, parent: int, name: bytes, path: bytes, info: stat_result
) -> bool:
    if not S_ISLNK(info.st_mode):
        return _add_file(stream, parent, name, path, info)
    try:
        target = os.readlink(name, dir_fd=parent)
    except OSError:
        return False  # it was a link a moment ago
    stream.symlink(path, info, target)
    return True


def _add_file(
    stream: ZipStream | TarStream, parent: int, name: bytes, path: bytes, info: stat_result
) -> bool:
    if not S_ISREG(info.st_mode):
        return False
    try:
        fd = Place(parent, name).open(os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return False
    try:
        info = os.fstat(fd)
        if not S_ISREG(info.st_mode):
            return False
        stream.file(path, info, fd)
    finally:
        os.close(fd)
    return True
