"""Folders that commands can read and run but not change: they are root's, as is all above them."""

# ruff: noqa: PTH102, SIM105
# pathlib and contextlib would cost the guest memory.

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would import enum
import os
import tarfile
from _stat import S_IMODE, S_ISDIR

from sessions.sandbox.guest.contained import PathError, Place
from sessions.sandbox.guest.remove_tree import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarInfo

_READ_BYTES = 256 << 10
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE = 0o022


class _AbortedError(OSError):
    pass


def _abort(_number: int, _frame: object) -> None:
    raise _AbortedError(0, "given up")


def add_folders(root: str) -> dict[str, object]:
    """Standard input is a tar archive of plain files in folders, which appear in `root` whole or
    not at all. One that is there already stays: a name stands for one content.

    Raises: PathError, OSError.
    """
    top = _open_top(root)
    name = b".new-" + os.urandom(8).hex().encode()
    os.mkdir(name, 0o700, dir_fd=top)
    _signal.signal(_signal.SIGTERM, _abort)
    try:
        fresh = os.open(name, _FOLDER, dir_fd=top)
        _extract(fresh)
        return {"count": _appear(fresh, top)}
    finally:
        _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)
        remove_tree(Place(top, name))


def _open_top(root: str) -> int:
    """What somebody else could have put there, or could change, is not written to as root."""
    try:
        os.mkdir(root, 0o755)
    except FileExistsError:
        pass
    top = os.open(root, _FOLDER)
    info = os.fstat(top)
    if info.st_uid != os.geteuid() or S_IMODE(info.st_mode) & _OTHERS_WRITE:
        raise PathError("file_error", "the image has something of its own at " + root)
    return top


def _extract(fresh: int) -> None:
    try:
        with (
            os.fdopen(0, "rb", _READ_BYTES) as source,
            tarfile.open(fileobj=source, mode="r|", errorlevel=1) as archive,
        ):
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # or all of them would be kept in memory
                _save(archive, member, fresh)
    except tarfile.TarError as error:
        raise PathError("bad_request", "not a whole tar archive: " + str(error)) from None


def _save(archive: tarfile.TarFile, member: TarInfo, fresh: int) -> None:
    source = archive.extractfile(member) if member.isreg() else None
    parts = os.fsencode(member.name).split(b"/")
    if source is None or len(parts) < 2 or any(part in (b"", b".", b"..") for part in parts):
        raise PathError("bad_request", "plain files in folders alone are taken")
    folder = os.dup(fresh)
    for part in parts[:-1]:
        try:
            os.mkdir(part, 0o755, dir_fd=folder)
        except FileExistsError:
            pass
        inner = os.open(part, _FOLDER, dir_fd=folder)
        os.close(folder)
        folder = inner
    fd = os.open(parts[-1], _NEW_FILE, 0o600, dir_fd=folder)
    os.close(folder)
    with os.fdopen(fd, "wb", 0) as target:
        while data := source.read(_READ_BYTES):
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        os.fchmod(target.fileno(), 0o755 if member.mode & 0o111 else 0o644)


def _appear(fresh: int, top: int) -> int:
    """How many were not there yet."""
    count = 0
    with os.scandir(fresh) as found:
        names = [os.fsencode(item.name) for item in found]
    for name in names:
        if not _is_folder(name, top):
            os.rename(name, name, src_dir_fd=fresh, dst_dir_fd=top)
            count += 1
    return count


def _is_folder(name: bytes, folder: int) -> bool:
    try:
        return S_ISDIR(os.lstat(name, dir_fd=folder).st_mode)
    except FileNotFoundError:
        return False
