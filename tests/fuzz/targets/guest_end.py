"""The guest's end of a channel: the real guest, loop and link, sent the input by its host.

Only the making of processes is played: a fork takes longer than a whole run. A played process has
printed something before it is looked at, and ends at the next turn of the loop.
"""

import errno
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from tarfile import BLOCKSIZE, TarInfo

from sessions.sandbox.guest import command, compact_json, disk_watch, file_task, serve, spawn, wire
from sessions.sandbox.guest.disk_watch import DiskWatch
from sessions.sandbox.guest.loop import Loop
from sessions.sandbox.guest.serve import Guest
from tests.fuzz.frames import Frame, encode, json_frame, position

FIRST_PID = 1 << 23
"""Above the kernel's largest: nothing real is ever meant."""
MAX_TURNS = 64
REFUSED_EACH = 7
"""As at the limit of processes."""
STDERR = 2
"""Only a count of the disk leaves this to the guest's own."""
COUNTED_BYTES = 700 << 10
MAX_WRITERS = 8
ANSWERS = frozenset(
    (wire.HELLO, wire.PONG, wire.ERROR, wire.CREDIT, wire.OUTPUT, wire.ENDED, wire.RESULT,
     wire.STARTED)
)  # fmt: skip
START = {
    "exec_id": "a",
    "argv": ["true"],
    "cwd": "/workspace",
    "env": {"A": "b"},
    "timeout_s": None,
    "stdin": False,
    "pty": None,
    "window": 1 << 20,
    "stdout_offset": 0,
    "stderr_offset": 0,
    "pty_offset": 0,
    "keep_log": False,
    "attach_only": False,
}
PATH = {"path": "a", "window": 1 << 20}
WATCHED = b'["add", ""]\n["add", "folder"]\n["remove", ""]\n'
PACKED = TarInfo("a").tobuf() + bytes(2 * BLOCKSIZE)
PACKED_SKILL = TarInfo("s/a").tobuf() + bytes(2 * BLOCKSIZE)
HELLO = json_frame(wire.HELLO, 0, {"versions": [wire.VERSION]})
COMMANDS = (
    json_frame(wire.START, 1, START),
    json_frame(wire.START, 2, START | {"exec_id": "b", "stdin": True, "keep_log": True}),
    json_frame(
        wire.START,
        3,
        START
        | {"exec_id": "p", "pty": {"columns": 80, "rows": 24}, "user": {"uid": 2000, "gid": 0}},
    ),
    json_frame(wire.START, 4, START | {"attach_only": True, "stdout_offset": 3}),
    position(wire.CREDIT, 1, wire.STDOUT, 1 << 20),
    position(wire.ACK, 1, wire.STDOUT, 5),
    position(wire.INPUT, 2, wire.STDIN, 0, b"input"),
    Frame(wire.INPUT_END, 2, b""),
    Frame(wire.KILL, 1, b""),
    json_frame(wire.RESIZE, 3, {"columns": 10, "rows": 5}),
)
REQUESTS = (
    json_frame(wire.REQUEST, 5, {"verb": "usage", "programs": True}),
    json_frame(wire.REQUEST, 6, {"verb": "list", **PATH}),
    json_frame(wire.REQUEST, 7, {"verb": "write", "overwrite": True, **PATH}),
    position(wire.INPUT, 7, wire.STDIN, 0, b"content"),
    Frame(wire.INPUT_END, 7, b""),
    json_frame(wire.REQUEST, 8, {"verb": "read", "offset": 0, "length": None, **PATH}),
    json_frame(wire.REQUEST, 9, {"verb": "archive", "format": "zip", "whole": False, **PATH}),
    Frame(wire.CANCEL, 9, b""),
    json_frame(wire.REQUEST, 10, {"verb": "archive", "format": "tar", "whole": True, "path": ""}),
    json_frame(wire.REQUEST, 11, {"verb": "set_limits", "disk_bytes": 1 << 20}),
    json_frame(wire.REQUEST, 12, {"verb": "foreground", "exec_id": "p"}),
    json_frame(wire.REQUEST, 13, {"verb": "watch", "window": 1 << 20}),
    position(wire.INPUT, 13, wire.STDIN, 0, WATCHED),
    Frame(wire.INPUT_END, 13, b""),
    json_frame(wire.REQUEST, 14, {"verb": "unpack", "window": 1 << 20}),
    position(wire.INPUT, 14, wire.STDIN, 0, PACKED),
    Frame(wire.INPUT_END, 14, b""),
    json_frame(wire.REQUEST, 15, {"verb": "stat", **PATH}),
    json_frame(wire.REQUEST, 16, {"verb": "make_dir", **PATH, "path": "folder"}),
    json_frame(wire.REQUEST, 17, {"verb": "rename", "target": "b", **PATH}),
    json_frame(wire.REQUEST, 19, {"verb": "add_skills", "window": 1 << 20}),
    position(wire.INPUT, 19, wire.STDIN, 0, PACKED_SKILL),
    Frame(wire.INPUT_END, 19, b""),
    json_frame(wire.REQUEST, 18, {"verb": "remove", **PATH, "path": "b"}),
)
TEMPLATES = (HELLO, Frame(wire.PING, 0, b"x"), *COMMANDS, *REQUESTS)
SEEDS = (
    encode((HELLO, COMMANDS[0], *COMMANDS[4:6], COMMANDS[3], COMMANDS[8])),
    encode((HELLO, COMMANDS[1], *COMMANDS[6:8], Frame(wire.PING, 0, b"x"))),
    encode((HELLO, COMMANDS[2], COMMANDS[9], REQUESTS[10])),
    encode((HELLO, *REQUESTS[:9])),
    # The second count, after the removal, finds more than there may be.
    encode((HELLO, COMMANDS[1], REQUESTS[2], REQUESTS[9], REQUESTS[-1])),
    encode((HELLO, *REQUESTS[11:17])),
    encode((HELLO, *REQUESTS[17:])),
)


class Processes:
    """In the place of fork, exec, wait and kill."""

    def __init__(self) -> None:
        self._next = FIRST_PID
        self.over: dict[int, int] = {}
        """Wait statuses to be told by process."""
        self.used = 0
        """What a count of the disk finds: each time more."""
        self.tags: Callable[[], range] = lambda: range(0)

    def start(self, _user: object, _tag: range, fds: tuple[int, int, int], argv: list[bytes],
              _cwd: bytes, _environment: object) -> tuple[int, int]:  # fmt: skip
        os.write(fds[1], b"hello\n")
        os.write(fds[2], b"x")
        pid = self._begin(len(argv[0]) % 3)
        report, report_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        if b"/" in argv[0]:
            os.write(report_write, b"OSError:2:")
        os.close(report_write)
        return pid, report

    def fork(self, _user: object, _tag: range, fds: tuple[int, int, int],
             _child: Callable[[], int], _prepare: object = None) -> int:  # fmt: skip
        if fds[2] == STDERR:
            self._count(fds[1])
            return self._begin(0)
        os.write(fds[1], b'[["a","file",5,1.5,420,null]]\n')
        if not os.isatty(fds[2]):
            os.write(fds[2], b'{"count":1}')
        return self._begin(0)

    def _count(self, fd: int) -> None:
        """All who have a tag are told to have written."""
        self.used += COUNTED_BYTES
        writers = [[tag, self.used, False] for tag in self.tags()[-MAX_WRITERS:]]
        answer = {"used": self.used, "places": [], "writers": writers, "is_whole": True}
        os.write(fd, compact_json.encode(answer))

    def _begin(self, status: int) -> int:
        self._next += 1
        if self._next % REFUSED_EACH == 0:
            raise BlockingIOError(errno.EAGAIN, "no process more")
        self.over[self._next] = status << 8
        return self._next

    def kill_tree(self, _tag: range, root: int) -> bool:
        if root in self.over:
            self.over[root] = 9
        return True

    def kill(self, pid: int, number: int) -> None:
        assert pid in self.over, "a process was signalled that had been reaped"
        self.over[pid] = number


class _Os:
    """The `os` module but for `kill`."""

    def __init__(self, processes: Processes) -> None:
        self.kill = processes.kill

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


class World:
    """One guest for all inputs, as one guest meets many hosts."""

    def __init__(self) -> None:
        self.processes = Processes()
        folder = tempfile.mkdtemp(prefix="berth-fuzz-")
        self.guest = Guest(
            {"workspace": folder, "uid": "0", "gid": "0", "run-dir": folder,
             "socket": folder + "/guest.sock", "scratch": folder, "disk-limit": "",
             "skills": folder + "/skills"}
        )  # fmt: skip
        self.processes.tags = self.guest.tags.taken
        self.errors: list[BaseException] = []

    def play(self, data: bytes) -> None:
        """Raises: AssertionError, or what the guest's loop had to swallow."""
        fds = _open_fds()
        with _replaced(
            (spawn, "start", self.processes.start),
            (spawn, "fork", self.processes.fork),
            (command, "kill_tree", self.processes.kill_tree),
            (serve, "kill_tree", self.processes.kill_tree),
            (disk_watch, "members", lambda _tags, _root: set()),
            (file_task, "os", _Os(self.processes)),
            (sys, "excepthook", lambda _kind, error, _trace: self.errors.append(error)),
        ):
            self._visit(data)
        if self.errors:
            raise self.errors.pop()
        assert _open_fds() == fds, "a descriptor stayed open"

    def _visit(self, data: bytes) -> None:
        heard = bytearray()
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            link = self.guest._admit(os.dup(theirs.fileno()), theirs.detach())
            with suppress(OSError):  # it may have hung up on us
                ours.send(data)
            for _turn in range(MAX_TURNS):
                self._count_if_due()
                if not self._turn(ours, heard) and not self._is_at_work:
                    break
            with suppress(OSError):
                ours.shutdown(socket.SHUT_WR)
            for _turn in range(MAX_TURNS):
                self._turn(ours, heard)
                if not link.is_open and not self._is_at_work:
                    break
        assert not link.is_open, "the link outlived its host"
        self._settle()
        for kind, ident, _payload in wire.FrameDecoder().feed(bytes(heard)):
            assert kind in ANSWERS, (kind, ident)

    @property
    def _is_at_work(self) -> bool:
        disk = self.guest.disk
        return bool(self.processes.over) or disk._is_counting

    def _count_if_due(self) -> None:
        """At once, where the guest would look a tenth of a second later."""
        disk = self.guest.disk
        disk._took = 0.0
        if disk._is_ticking:
            try:
                disk._tick()
            except Exception as error:  # noqa: BLE001 - as the guest's own loop does
                self.errors.append(error)

    def _turn(self, ours: socket.socket, heard: bytearray) -> bool:
        """One round of the guest's loop; whether it said anything."""
        for pid in list(self.processes.over):
            on_exit = self.guest._children.pop(pid, None)
            if on_exit is not None:
                status = self.processes.over.pop(pid)
                self._tell(on_exit, status)
        loop: Loop = self.guest.loop
        loop.call_later(0, loop.stop)
        loop.run()
        try:
            data = ours.recv(1 << 20)
        except OSError:
            return False
        heard += data
        return bool(data)

    def _tell(self, on_exit: Callable[[int], None], status: int) -> None:
        try:
            on_exit(status)
        except Exception as error:  # noqa: BLE001 - as the guest's own loop does
            self.errors.append(error)

    def _settle(self) -> None:
        """All that the next input must not meet."""
        guest = self.guest
        assert not guest._links
        assert not guest._tasks, "a file request outlived its link"
        for one in list(guest._commands.values()):
            one._grace_over()
            assert one.ended is not None, "a command without an end"
            assert one.attachment is None
        guest._commands.clear()
        guest._forgotten.clear()
        guest.room.held = 0
        guest._running = 0
        guest.loop._timers.clear()
        guest.oom_watch._is_due = False
        assert not guest.disk._is_counting
        guest.disk = DiskWatch(guest, guest.workspace)
        self.processes.used = 0


@contextmanager
def _replaced(*parts: tuple[object, str, object]) -> Iterator[None]:
    kept = [(owner, name, getattr(owner, name)) for owner, name, _part in parts]
    try:
        for owner, name, part in parts:
            setattr(owner, name, part)
        yield
    finally:
        for owner, name, part in kept:
            setattr(owner, name, part)


def _open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


_world: list[World] = []


def run(data: bytes) -> None:
    """Raises: AssertionError, or what the guest's loop had to swallow."""
    if not _world:
        _world.append(World())
    _world[0].play(data)
