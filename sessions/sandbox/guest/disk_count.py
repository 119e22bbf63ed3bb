"""Count what a session holds on disk. Runs in a process of its own, forked from the guest.

Counted are allocated blocks, so a sparse file counts what it takes, in the workspace and in the
container's writable layer: there, whatever changed since the container started (no user can set
a file's change time) in places its user may write. A file with several names counts once, and one
that was deleted counts as long as a process of the session holds it open.

Memory stays small however many files there are: folders are read piece by piece, and no list of
files is kept.
"""

# ruff: noqa: PTH116, PTH208
# pathlib and contextlib would cost the guest memory.

from __future__ import annotations

import os

from sessions.sandbox.guest.process_tree import members, process_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.spawn import User

MAX_DEPTH = 500
"""Each level takes an open descriptor. What lies deeper makes the count one of `at least`."""
MAX_PLACES = 200
_BLOCK = 512
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE = 0o002
_GROUP_WRITES = 0o020
_OWNER_WRITES = 0o200
_KIND = 0o170000
_IS_FOLDER = 0o040000
_IS_FILE = 0o100000


class Count:
    def __init__(self, user: User, started_at: float) -> None:
        self.used = 0
        self.is_whole = True
        self.writers: dict[int, list[int]] = {}
        """For the group of each command that runs: bytes that its processes had written to disk,
        and whether one holds a file open for writing."""
        self._user = user
        self._started_at = started_at

    # Finding out what the user may write

    def places(self, top: str) -> list[str]:
        """Folders and files under `top`, on its file system, that the user may write."""
        found: list[str] = []
        device = os.lstat(top).st_dev
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            if self._may_write(os.lstat(folder)):
                found.append(folder)
                continue
            for name in _names(folder):
                path = folder.rstrip("/") + "/" + name
                status = _lstat(path)
                if status is None:
                    continue
                if status.st_mode & _KIND == _IS_FOLDER and status.st_dev == device:
                    waiting.append(path)
                elif status.st_mode & _KIND == _IS_FILE and self._may_write(status):
                    found.append(path)
        return found if len(found) <= MAX_PLACES else [top]

    def _may_write(self, status: os.stat_result) -> bool:
        if status.st_uid == self._user.uid:
            return True  # its owner may allow it to himself
        if status.st_gid == self._user.gid and status.st_mode & _GROUP_WRITES:
            return True
        return bool(status.st_mode & _OTHERS_WRITE)

    # Counting

    def add_workspace(self, folder: str) -> int:
        """Everything in it. Returns its device."""
        return self._add_folder(folder, since=0.0)

    def add_place(self, path: str) -> int:
        """What changed in it since the container started. Returns its device; -1 if it is gone."""
        status = _lstat(path)
        if status is None:
            return -1
        if status.st_mode & _KIND != _IS_FOLDER:
            self._add(status, self._started_at)
            return status.st_dev
        return self._add_folder(path, since=self._started_at)

    def _add(self, status: os.stat_result, since: float) -> None:
        if status.st_ctime < since:
            return
        size = status.st_blocks * _BLOCK
        if status.st_mode & _KIND == _IS_FOLDER:
            self.used += size
        else:
            # Each of its names brings its share: no list of those seen is needed.
            self.used += size // max(1, status.st_nlink)

    def _add_folder(self, path: str, since: float) -> int:
        try:
            top = os.open(path, _FOLDER)
        except OSError:
            return -1
        device = os.fstat(top).st_dev
        self._add(os.fstat(top), since)
        # Each level: the folder's descriptor and the iterator over its names.
        levels = [(top, os.scandir(top))]
        while levels:
            fd, items = levels[-1]
            below = self._next_folder(fd, items, device, since, len(levels))
            if below is None:
                items.close()
                os.close(fd)
                levels.pop()
            else:
                levels.append((below, os.scandir(below)))
        return device

    def _next_folder(
        self, fd: int, items: os._ScandirIterator[str], device: int, since: float, depth: int
    ) -> int | None:
        """Count what comes before the next folder and open that; None at the end."""
        for item in items:
            try:
                status = item.stat(follow_symlinks=False)
                self._add(status, since)
                if status.st_mode & _KIND != _IS_FOLDER or status.st_dev != device:
                    continue
                if depth < MAX_DEPTH:
                    return os.open(item.name, _FOLDER, dir_fd=fd)
            except OSError:
                continue  # gone meanwhile
            self.is_whole = False
        return None

    def add_open_files(self, tags: range, devices: set[int]) -> None:
        """Deleted files that processes still hold, and who holds any file open for writing.

        Only a process with the identity of theirs may look at their descriptors.
        """
        seen: set[tuple[int, int]] = set()
        for pid in members(tags, 0):
            process = "/proc/" + str(pid)
            is_open = False
            for name in _names(process + "/fd"):
                path = process + "/fd/" + name
                status = _stat(path)
                if status is None or status.st_mode & _KIND != _IS_FILE:
                    continue
                if status.st_dev not in devices:
                    continue
                key = (status.st_dev, status.st_ino)
                if status.st_nlink == 0 and key not in seen:
                    seen.add(key)
                    self.used += status.st_blocks * _BLOCK
                link = _lstat(path)
                is_open |= link is not None and bool(link.st_mode & _OWNER_WRITES)
            self._add_writer(pid, tags, is_open=is_open)

    def _add_writer(self, pid: int, tags: range, *, is_open: bool) -> None:
        status = process_status(str(pid))
        for group in status[1] if status is not None else ():
            if group in tags:
                entry = self.writers.setdefault(group, [0, 0])
                entry[0] += _written(pid)
                entry[1] |= is_open


def _written(pid: int) -> int:
    """Also by its children that ended; 0 where the kernel does not count it, as for tmpfs."""
    try:
        fd = os.open("/proc/" + str(pid) + "/io", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        text = os.read(fd, 4096)
    except OSError:
        text = b""
    os.close(fd)
    return int(text.partition(b"\nwrite_bytes: ")[2].partition(b"\n")[0] or b"0")


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def count(
    user: User, workspace: str, scratch: str, places: list[str] | None, tags: range, since: float
) -> dict[str, object]:
    """`used` in bytes, `is_whole`, `writers`, and `places` to pass in the next time.

    Starts with all rights of the guest, for folders that their owner closed to himself; ends
    with the identity of the user, though not to be signalled by him.
    """
    result = Count(user, since)
    if places is None:
        places = result.places(scratch) if scratch else []
    devices = {result.add_workspace(workspace)}
    devices.update(result.add_place(place) for place in places)
    if user.can_switch:
        os.setresgid(-1, user.gid, -1)
        os.setresuid(-1, user.uid, -1)
    result.add_open_files(tags, devices)
    return {
        "used": result.used,
        "is_whole": result.is_whole,
        "writers": [[group, *entry] for group, entry in result.writers.items()],
        "places": places,
    }
