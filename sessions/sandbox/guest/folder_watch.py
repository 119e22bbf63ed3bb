"""Watch folders by inotify, in a process of its own that runs as the workspace's user.

Standard input says which folders, standard output what became of them, both in lines of JSON.
What is held is bounded by the number of folders: a host that does not read misses no change, it
is only told of many at once.
"""

# ruff: noqa: SIM105
# contextlib would cost memory, for each watch.

from __future__ import annotations

import ctypes
import errno
import os
from select import POLLIN, POLLOUT, poll
from struct import Struct
from time import monotonic

from sessions.sandbox.guest import compact_json
from sessions.sandbox.guest.contained import PathError, Workspace
from sessions.sandbox.guest.entries import raw, text
from sessions.sandbox.guest.upload import UPLOAD_PREFIX

MAX_FOLDERS = 200
COALESCE_S = 0.075
"""A folder that goes on changing is told of once in so long."""
_MAX_LINE_BYTES = 64 << 10
_READ_BYTES = 256 << 10
_EVENT = Struct("iIII")
"""Watch, mask, cookie, length of the name behind it."""
_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT = 0x400, 0x800, 0x2000
_Q_OVERFLOW, _IGNORED, _ONLYDIR = 0x4000, 0x8000, 0x0100_0000
_NAMES = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_ENDS = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED
_WANTED = _MODIFY | _ATTRIB | _CLOSE_WRITE | _NAMES | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
_SILENT_FILE_SYSTEMS = frozenset(
    (0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x6573_5546, 0x0102_1997, 0x5346_414F)
)
"""NFS, SMB (three), FUSE, 9P, AFS: what others change there, this kernel never hears of."""
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def watch_folders(workspace: Workspace) -> dict[str, object]:
    """Until standard input ends. Raises: OSError where the kernel has no inotify to give."""
    FolderWatch(workspace).run()
    return {}


class FolderWatch:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)
        self._watches: dict[bytes, int] = {}
        self._paths: dict[int, set[bytes]] = {}
        """Several paths may lead to one folder."""
        self._steps: set[bytes] = set()
        """Every watched path with all that lead to it."""
        self._due: dict[bytes, float] = {}
        """Folders that changed, and when the host is told."""
        self._resync_at: float | None = None
        self._out = bytearray()
        self._line = bytearray()

    def _call(self, name: str, *arguments: int | bytes) -> int:
        result = int(getattr(self._libc, name)(*arguments))
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result

    def run(self) -> None:
        os.set_blocking(1, False)
        ready = poll()
        ready.register(self._fd, POLLIN)
        while True:
            self._tell_what_is_due()
            # While the host does not read, it is not heard either.
            ready.register(0, 0 if self._out else POLLIN)
            ready.register(1, POLLOUT if self._out else 0)
            for fd, _events in ready.poll(self._milliseconds()):
                if fd == self._fd:
                    self._take_events(os.read(self._fd, _READ_BYTES))
                elif fd == 0 and not self._hear():
                    return
                elif fd == 1:
                    self._send()

    # The host

    def _hear(self) -> bool:
        data = os.read(0, _READ_BYTES)
        *lines, rest = (bytes(self._line) + data).split(b"\n")
        self._line = bytearray(rest)
        for line in lines:
            self._obey(*compact_json.decode(line))
        if len(rest) > _MAX_LINE_BYTES:
            raise PathError("bad_request", "a line without an end")
        return bool(data)

    def _obey(self, verb: str, name: str) -> None:
        try:
            path = raw(name)
        except UnicodeEncodeError:
            self._say("unwatchable", name, "entry_not_found")  # no folder can have this name
        else:
            (self._add if verb == "add" else self._forget)(path)

    def _say(self, *news: str) -> None:
        self._out += compact_json.encode(list(news)) + b"\n"

    def _send(self) -> None:
        try:
            del self._out[: os.write(1, self._out)]
        except BlockingIOError:
            pass

    def _milliseconds(self) -> int | None:
        times = list(self._due.values())
        if self._resync_at is not None:
            times.append(self._resync_at)
        if self._out or not times:
            return None
        return max(0, int((min(times) - monotonic()) * 1000) + 1)

    def _tell_what_is_due(self) -> None:
        now = monotonic()
        if self._out:
            return
        if self._resync_at is not None and self._resync_at <= now:
            self._resync_at = None
            self._due.clear()
            self._say("resync")
        for path in [path for path, due in self._due.items() if due <= now]:
            del self._due[path]
            self._say("changed", text(path))
        if self._out:
            self._send()

    # The folders

    def _add(self, path: bytes) -> None:
        if path in self._watches:
            self._forget(path)
        reason = "limit" if len(self._watches) >= MAX_FOLDERS else self._begin(path)
        if reason:
            self._say("unwatchable", text(path), reason)
        else:
            self._say("watching", text(path))

    def _begin(self, path: bytes) -> str:
        """Why it cannot be watched; empty when it is."""
        fd = -1
        try:
            fd = self._workspace.place(path).open_folder()
            if self._file_system(fd) in _SILENT_FILE_SYSTEMS:
                return "network"
            # By the open folder: a name could lead elsewhere by now.
            watch = self._call("inotify_add_watch", self._fd, b"/proc/self/fd/%d" % fd, _WANTED)
        except PathError as error:
            return error.code
        except OSError as error:
            if error.errno in _NOT_THERE:
                return "entry_not_found"
            return "limit" if error.errno == errno.ENOSPC else "file_error"
        finally:
            self._workspace.let_go()
            if fd >= 0:
                os.close(fd)
        self._watches[path] = watch
        self._paths.setdefault(watch, set()).add(path)
        self._note_steps()
        return ""

    def _file_system(self, fd: int) -> int:
        figures = (ctypes.c_ulong * 32)()
        if self._libc.fstatfs(fd, figures):
            return 0
        return int(figures[0]) & 0xFFFF_FFFF

    def _forget(self, path: bytes) -> None:
        watch = self._watches.pop(path, None)
        self._due.pop(path, None)
        if watch is None:
            return
        self._note_steps()
        self._paths[watch].discard(path)
        if not self._paths[watch]:
            del self._paths[watch]
            # Fails for a folder that is gone, which took its watch along.
            self._libc.inotify_rm_watch(self._fd, watch)

    def _note_steps(self) -> None:
        self._steps = set()
        for path in self._watches:
            parts = path.split(b"/")
            self._steps.update(b"/".join(parts[:end]) for end in range(1, len(parts) + 1))

    # The kernel

    def _take_events(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            watch, mask, _cookie, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            if mask & _Q_OVERFLOW:
                self._renew()
            elif watch in self._paths:
                self._take_event(watch, mask, data[at - length : at].rstrip(b"\0"))

    def _take_event(self, watch: int, mask: int, name: bytes) -> None:
        if mask & _ENDS:
            for path in list(self._paths[watch]):
                self._gone(path)
            return
        if name.startswith(UPLOAD_PREFIX):
            return
        for path in list(self._paths[watch]):
            self._due.setdefault(path, monotonic() + COALESCE_S)
            if mask & _NAMES:
                self._replaced(path + b"/" + name if path else name)

    def _replaced(self, path: bytes) -> None:
        """What stands at `path` is another thing now, so what was watched through it is elsewhere."""
        if path in self._steps:
            for known in list(self._watches):
                if known == path or known.startswith(path + b"/"):
                    self._gone(known)

    def _gone(self, path: bytes) -> None:
        for known in list(self._watches):
            if known == path or not path or known.startswith(path + b"/"):
                self._forget(known)
                self._say("gone", text(known))

    def _renew(self) -> None:
        """The kernel dropped events, perhaps the end of a folder among them."""
        for path in list(self._watches):
            self._forget(path)
            if self._begin(path):
                self._say("gone", text(path))
        if self._resync_at is None:
            self._resync_at = monotonic() + COALESCE_S
