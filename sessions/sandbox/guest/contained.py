"""Find what a path in the workspace means, one component at a time, and never leave it.

Every step is relative to an open folder and refuses to follow a link by itself; links are read
and walked like the rest of the path. What a hostile process swaps meanwhile cannot lead out.
"""

# ruff: noqa: SIM105
# pathlib and contextlib would cost the guest memory.

from __future__ import annotations

import os
from _stat import S_ISLNK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import stat_result

MAX_LINKS = 40
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PathError(Exception):
    """`code` is one of the protocol's file errors."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Place:
    """A name in an open folder; an empty name is the folder itself."""

    def __init__(self, folder: int, name: bytes) -> None:
        self.folder = folder
        self.name = name

    def lstat(self) -> stat_result:
        if not self.name:
            return os.fstat(self.folder)
        return os.lstat(self.name, dir_fd=self.folder)

    def open(self, flags: int) -> int:
        """Never follows a link."""
        if not self.name:
            return os.open(".", flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder)
        return os.open(self.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder)

    def open_folder(self) -> int:
        return self.open(_FOLDER)


class Workspace:
    """Paths in, places out. Folders stay open until `let_go` or the end of the process."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._root = os.fsencode(root)
        self._root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._opened: list[int] = []

    def place(self, path: bytes, *, follow: bool = True, make_parents: bool = False) -> Place:
        """`follow` says whether a link at the very end is followed, or meant itself.

        Raises: PathError, OSError.
        """
        folders = [self._root_fd]
        ahead = _components(path)[::-1]
        links = 0
        while ahead:
            name = ahead.pop()
            if name == b"..":  # from a link: a request with one was refused above
                if len(folders) == 1:
                    raise _outside()
                folders.pop()
                continue
            target = _link_target(name, folders[-1]) if ahead or follow else None
            if target is not None:
                links += 1
                if links > MAX_LINKS:
                    raise PathError("wrong_entry_kind", "too many symbolic links")
                if target.startswith(b"/"):
                    target = self._inside(target)
                    del folders[1:]
                ahead += _split(target)[::-1]
            elif not ahead:
                return Place(folders[-1], name)
            else:
                folders.append(_enter(name, folders[-1], make=make_parents))
                self._opened.append(folders[-1])
        return Place(folders[-1], b"")

    def let_go(self) -> None:
        """Close what `place` opened; the places it gave are of no more use."""
        for fd in self._opened:
            os.close(fd)
        self._opened.clear()

    def _inside(self, target: bytes) -> bytes:
        if target == self._root:
            return b""
        if not target.startswith(self._root + b"/"):
            raise _outside()
        return target[len(self._root) + 1 :]


def _outside() -> PathError:
    return PathError("outside_workspace", "the path leads out of the workspace")


def _split(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in (b"", b".")]


def _components(path: bytes) -> list[bytes]:
    parts = _split(path)
    if path.startswith(b"/") or b".." in parts or b"\0" in path:
        raise _outside()
    return parts


def _link_target(name: bytes, folder: int) -> bytes | None:
    """Where the link `name` points; None for what is no link, also for what is not there."""
    try:
        if S_ISLNK(os.lstat(name, dir_fd=folder).st_mode):
            return os.readlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    return None


def _enter(name: bytes, folder: int, *, make: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    try:
        os.mkdir(name, 0o755, dir_fd=folder)
    except FileExistsError:
        pass
    return os.open(name, _FOLDER, dir_fd=folder)
