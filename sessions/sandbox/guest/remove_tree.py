"""Remove a folder with all in it, however deep, without following a link."""

# ruff: noqa: SIM105
# pathlib and contextlib would cost the guest memory.

from __future__ import annotations

import os

from sessions.sandbox.guest.contained import Place

_MAX_DEPTH = 100
"""Deeper folders are first moved up, so that open descriptors stay few."""


def remove_tree(place: Place) -> None:
    """Raises: OSError for what the user may not remove; the rest may be gone by then."""
    moved = [place]
    while moved:
        folder = moved[-1]
        deeper = _empty(folder, place, 0)
        if deeper:
            moved += deeper
            continue
        os.rmdir(folder.name, dir_fd=folder.folder)
        moved.pop()


def _empty(place: Place, top: Place, depth: int) -> list[Place]:
    """Remove what is in the folder. Returns folders that were moved next to `top`."""
    fd = _open_writable(place)
    moved: list[Place] = []
    try:
        with os.scandir(fd) as found:
            items = [
                (os.fsencode(item.name), item.is_dir(follow_symlinks=False)) for item in found
            ]
        for name, is_folder in items:
            if not is_folder:
                _unlink(name, fd)
            elif depth < _MAX_DEPTH:
                moved += _empty(Place(fd, name), top, depth + 1)
                os.rmdir(name, dir_fd=fd)
            else:
                moved.append(_move_up(name, fd, top))
    finally:
        os.close(fd)
    return moved


def _open_writable(place: Place) -> int:
    """A folder's own user may always empty it, whatever mode it was left with."""
    try:
        fd = place.open_folder()
    except PermissionError:
        os.chmod(place.name, 0o700, dir_fd=place.folder)
        fd = place.open_folder()
    if os.fstat(fd).st_mode & 0o300 != 0o300:
        try:
            os.fchmod(fd, 0o700)
        except PermissionError:
            pass
    return fd


def _unlink(name: bytes, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass


def _move_up(name: bytes, folder: int, top: Place) -> Place:
    new = b".berth-removed-" + os.urandom(8).hex().encode()
    os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top.folder)
    return Place(top.folder, new)
