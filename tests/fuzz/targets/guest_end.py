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

from sessions.sandbox.guest import command, file_task, spawn, wire
from sessions.sandbox.guest.loop import Loop
from sessions.sandbox.guest.serve import Guest
from tests.fuzz.frames import Frame, encode, json_frame, position

FIRST_PID = 1 << 23
"""Above the kernel's largest: nothing real is ever meant."""
MAX_TURNS = 64
REFUSED_EACH = 7
"""As at the limit of processes."""
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
HELLO = json_frame(wire.HELLO, 0, {"versions": [wire.VERSION]})
TEMPLATES = (
    HELLO,
    Frame(wire.PING, 0, b"x"),
    json_frame(wire.START, 1, START),
    json_frame(wire.START, 2, START | {"exec_id": "b", "stdin": True, "keep_log": True}),
    json_frame(wire.START, 3, START | {"exec_id": "p", "pty": {"columns": 80, "rows": 24}}),
    json_frame(wire.START, 4, START | {"attach_only": True, "stdout_offset": 3}),
    json_frame(wire.REQUEST, 5, {"verb": "usage"}),
    json_frame(wire.REQUEST, 6, {"verb": "list", **PATH}),
    json_frame(wire.REQUEST, 7, {"verb": "write", "overwrite": True, **PATH}),
    json_frame(wire.REQUEST, 8, {"verb": "read", "offset": 0, "length": None, **PATH}),
    json_frame(wire.REQUEST, 9, {"verb": "archive", "format": "zip", **PATH}),
    position(wire.CREDIT, 1, wire.STDOUT, 1 << 20),
    position(wire.ACK, 1, wire.STDOUT, 5),
    position(wire.INPUT, 2, wire.STDIN, 0, b"input"),
    position(wire.INPUT, 7, wire.STDIN, 0, b"content"),
    Frame(wire.INPUT_END, 2, b""),
    Frame(wire.INPUT_END, 7, b""),
    Frame(wire.KILL, 1, b""),
    Frame(wire.CANCEL, 6, b""),
    json_frame(wire.RESIZE, 3, {"columns": 10, "rows": 5}),
)
SEEDS = (
    encode((TEMPLATES[0], TEMPLATES[2], TEMPLATES[11], TEMPLATES[12], TEMPLATES[5])),
    encode((TEMPLATES[0], TEMPLATES[3], TEMPLATES[13], TEMPLATES[15], TEMPLATES[1])),
    encode((TEMPLATES[0], TEMPLATES[4], TEMPLATES[19])),
    encode(TEMPLATES[:1] + TEMPLATES[6:11] + TEMPLATES[14:15] + TEMPLATES[16:19:2]),
)


class Processes:
    """In the place of fork, exec, wait and kill."""

    def __init__(self) -> None:
        self._next = FIRST_PID
        self.over: dict[int, int] = {}
        """Wait statuses to be told by process."""

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
        os.write(fds[1], b'[["a","file",5,1.5,420,null]]\n')
        if not os.isatty(fds[2]):
            os.write(fds[2], b'{"count":1}')
        return self._begin(0)

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
             "socket": folder + "/guest.sock", "scratch": folder, "disk-limit": ""}
        )  # fmt: skip
        self.errors: list[BaseException] = []

    def play(self, data: bytes) -> None:
        """Raises: AssertionError, or what the guest's loop had to swallow."""
        fds = _open_fds()
        with _replaced(
            (spawn, "start", self.processes.start),
            (spawn, "fork", self.processes.fork),
            (command, "kill_tree", self.processes.kill_tree),
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
                if not self._turn(ours, heard) and not self.processes.over:
                    break
            with suppress(OSError):
                ours.shutdown(socket.SHUT_WR)
            for _turn in range(MAX_TURNS):
                self._turn(ours, heard)
                if not link.is_open and not self.processes.over:
                    break
        assert not link.is_open, "the link outlived its host"
        self._settle()
        for kind, ident, _payload in wire.FrameDecoder().feed(bytes(heard)):
            assert kind in ANSWERS, (kind, ident)

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
        guest._running = 0
        guest.loop._timers.clear()
        guest.oom_watch._is_due = False


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
