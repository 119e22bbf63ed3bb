"""Receive one file so that it appears whole or not at all."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would import enum
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.contained import Place

UPLOAD_PREFIX = b".berth-upload-"
"""Files that are not yet whole; left out of listings and archives."""
_READ_BYTES = 256 << 10


class _AbortedError(OSError):
    pass


def _abort(_number: int, _frame: object) -> None:
    raise _AbortedError(0, "the upload was given up")


def receive_file(place: Place, mode: int, *, overwrite: bool) -> None:
    """Standard input becomes `place`. SIGTERM before its end: nothing happened."""
    name = UPLOAD_PREFIX + os.urandom(8).hex().encode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    _signal.signal(_signal.SIGTERM, _abort)
    fd = os.open(name, flags, 0o600, dir_fd=place.folder)
    try:
        while data := os.read(0, _READ_BYTES):
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
        _appear(name, place, overwrite=overwrite)
    except BaseException:
        os.unlink(name, dir_fd=place.folder)
        raise
    finally:
        _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)
        os.close(fd)


def _appear(name: bytes, place: Place, *, overwrite: bool) -> None:
    folder = place.folder
    if overwrite:
        os.rename(name, place.name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    # A link, unlike a rename, fails when the name was taken meanwhile.
    os.link(name, place.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    os.unlink(name, dir_fd=folder)
