"""The kernel: keeps one interpreter alive in a container and gives it code, one call at a time.

Runs in the image's own Python, 3.8 or later, with nothing but its standard library. It is sent as
text (`BERTH_KERNEL`), as is the worker (`BERTH_WORKER`), so that any image will do.

The worker, a child of it, runs the code. The kernel never does, so that it is there to interrupt
code that hears nothing, to say how a worker died, and to start the next one. Each line on its
standard input it answers with `ready LINE SOCKET PYTHON`: at the socket clients (client.py), which
the same Python runs, bring one call each.
A client that hangs up before its call is done, because a Stop or the time limit killed it,
interrupts the code: first as Ctrl-C does, then the worker is killed. Whatever the call had started
goes with it.
"""

# ruff: noqa: PTH118, PTH123, PTH208
# pathlib would cost each kernel memory.

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import tempfile
import time
from typing import Any

GRACE_S = 1.0
"""What interrupted code has to end in."""
REQUEST_TIMEOUT_S = 5.0
MAX_REQUEST_BYTES = 1 << 20
_PR_SET_CHILD_SUBREAPER = 36
NEW = b"[The interpreter was started anew: variables and imports of earlier calls are gone.]\n"
_LENGTH = struct.Struct(">I")
_PEER = struct.Struct("iII")


class Call:
    """A client and the code it brought. `output` is where the code prints."""

    def __init__(self, connection: socket.socket, request: dict[str, Any], output: int) -> None:
        self.connection = connection
        self.request = request
        self.output = output
        self.is_interrupted = False
        self.kill_at = float("inf")
        self.before: set[tuple[int, str]] = set()
        """Processes that were there before it began."""

    def tell(self, **fields: Any) -> None:
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(fields).encode() + b"\n")

    def release_output(self) -> None:
        """Its end is not seen before everybody has let go of it."""
        if self.output >= 0:
            os.close(self.output)
        self.output = -1

    def close(self) -> None:
        self.release_output()
        self.connection.close()


class Kernel:
    def __init__(self, worker_source: str, *, adopts_orphans: bool) -> None:
        self._worker_source = worker_source
        self._adopts_orphans = adopts_orphans
        self._folder = tempfile.mkdtemp(prefix="berth-python-")
        self._selector = selectors.DefaultSelector()
        self._server = socket.socket(socket.AF_UNIX)
        self._path = os.path.join(self._folder, "socket")
        self._server.bind(self._path)
        self._server.listen(16)
        self._wake, wake_end = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        self._current: Call | None = None
        self._waiting: list[Call] = []
        self._settling: list[Call] = []
        self._worker = 0
        self._channel: socket.socket | None = None
        self._is_fresh = True
        self._asked = b""
        os.set_blocking(0, False)
        self._selector.register(0, selectors.EVENT_READ, self._greet)
        self._selector.register(self._server, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake, selectors.EVENT_READ, self._reap)

    def run(self) -> None:
        while True:
            timeout = None
            if self._current is not None and self._current.kill_at != float("inf"):
                timeout = max(0.0, self._current.kill_at - time.monotonic())
            for key, _events in self._selector.select(timeout):
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            if self._current is not None and time.monotonic() >= self._current.kill_at:
                self._kill_worker()
            self._go_on()

    def _greet(self) -> None:
        data = os.read(0, 4096)
        if not data:
            self._selector.unregister(0)
        *lines, self._asked = (self._asked + data)[-4096:].split(b"\n")
        for line in lines:
            words = b" ".join([line, os.fsencode(self._path), os.fsencode(sys.executable)])
            os.write(1, b"ready " + words + b"\n")

    def _start_worker(self) -> None:
        mine, its = socket.socketpair()
        sys.stdout.flush()
        self._worker = os.fork()
        if not self._worker:
            status = 70
            try:
                self._become_worker(mine, its)
                status = 0
            finally:
                os._exit(status)
        with contextlib.suppress(OSError):
            os.setpgid(self._worker, self._worker)
        its.close()
        self._channel = mine
        self._selector.register(mine, selectors.EVENT_READ, self._answered)

    def _become_worker(self, mine: socket.socket, its: socket.socket) -> None:
        # A group of its own, so that an interrupt reaches what it waits for as well.
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        mine.close()
        self._server.close()
        for call in [*self._waiting, *self._settling, self._current]:
            if call is not None:
                call.close()
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        scope: dict[str, Any] = {"__name__": "berth_worker"}
        exec(compile(self._worker_source, "<berth worker>", "exec"), scope)  # noqa: S102
        scope["serve"](its, self._folder)

    def _answered(self) -> None:
        assert self._channel is not None
        call = self._current
        try:
            answer = json.loads(_read_frame(self._channel))
            code = int(answer["code"])
        except (OSError, ValueError, TypeError, KeyError):
            # Its end is told by the kernel of the machine; a worker without a channel is of no use.
            self._signal_worker(signal.SIGKILL)
            self._selector.unregister(self._channel)
            return
        if call is None:
            return
        if call.is_interrupted and answer.get("threads"):
            # Threads cannot be interrupted, and nothing of a stopped call may go on.
            self._kill_worker()
            return
        self._end(call, code=code)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake, 512):
                pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._worker:
                self._worker_ended(status)

    def _worker_ended(self, status: int) -> None:
        assert self._channel is not None
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._channel)
        self._channel.close()
        self._worker, self._channel = 0, None
        call = self._current
        if call is not None:
            self._end(call, died=_exit_status(status))
        # Whoever was told that it died knows that the next one is new.
        self._is_fresh = call is None or call.is_interrupted

    def _signal_worker(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.kill(self._worker, number)

    def _kill_worker(self) -> None:
        call = self._current
        if call is not None:
            call.kill_at = float("inf")
            call.before.discard(_identity(self._worker))
        self._signal_worker(signal.SIGKILL)

    def _accept(self) -> None:
        connection, _ = self._server.accept()
        try:
            _pid, uid, _gid = _PEER.unpack(
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            )
            if uid != os.getuid():
                raise OSError("another user")
            connection.settimeout(REQUEST_TIMEOUT_S)
            request, output = receive_request(connection)
            connection.setblocking(True)
        except (OSError, ValueError, TypeError):
            connection.close()
            return
        call = Call(connection, request, output)
        if request.get("settle"):
            self._settling.append(call)
        else:
            self._waiting.append(call)

    def _go_on(self) -> None:
        while self._current is None and self._waiting:
            self._begin(self._waiting.pop(0))
        if self._current is None:
            for call in self._settling:
                if self._adopts_orphans:
                    call.tell(settled=True)
                call.close()
            self._settling.clear()

    def _begin(self, call: Call) -> None:
        if _has_hung_up(call.connection):
            call.close()
            return
        self._current = call
        if self._channel is None:
            self._start_worker()
        assert self._channel is not None
        if self._is_fresh and call.request.get("is_known"):
            with contextlib.suppress(OSError):
                os.write(call.output, NEW)
        self._is_fresh = False
        call.before = descendants(os.getpid())
        # A worker that cannot be written to has died, which is told when it is reaped.
        with contextlib.suppress(OSError):
            send_request(self._channel, call.request, call.output)
        call.release_output()
        self._selector.register(call.connection, selectors.EVENT_READ, self._interrupt)

    def _interrupt(self) -> None:
        """Its client hung up."""
        call = self._current
        if call is None:
            return
        self._selector.unregister(call.connection)
        call.is_interrupted = True
        call.kill_at = time.monotonic() + GRACE_S
        try:
            os.killpg(self._worker, signal.SIGINT)
        except OSError:
            self._signal_worker(signal.SIGINT)

    def _end(self, call: Call, **how: int) -> None:
        if call.is_interrupted:
            kill_all(lambda: descendants(os.getpid()) - call.before - {_identity(self._worker)})
        else:
            self._selector.unregister(call.connection)
        call.tell(**how)
        call.close()
        self._current = None


def _has_hung_up(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _exit_status(status: int) -> int:
    """As a shell says it."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def send_request(connection: socket.socket, request: dict[str, Any], output: int) -> None:
    data = json.dumps(request).encode()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", output))]
    connection.sendmsg([_LENGTH.pack(len(data))], rights if output >= 0 else [])
    connection.sendall(data)


def receive_request(connection: socket.socket) -> tuple[dict[str, Any], int]:
    """The request and the descriptor, -1 without one. Raises: OSError, ValueError."""
    head, ancillary, _flags, _address = connection.recvmsg(_LENGTH.size, socket.CMSG_SPACE(4))
    output = -1
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            (output,) = struct.unpack("i", data[:4])
            os.set_inheritable(output, False)
    try:
        if len(head) < _LENGTH.size:
            raise OSError("hung up")
        request = json.loads(_read_exactly(connection, _LENGTH.unpack(head)[0]))
        if not isinstance(request, dict):
            raise TypeError("no request")
    except BaseException:
        if output >= 0:
            os.close(output)
        raise
    return request, output


def _read_frame(connection: socket.socket) -> bytes:
    return _read_exactly(connection, _LENGTH.unpack(_read_exactly(connection, _LENGTH.size))[0])


def _read_exactly(connection: socket.socket, size: int) -> bytes:
    if size > MAX_REQUEST_BYTES:
        raise ValueError("too long")
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise OSError("hung up")
        data += piece
    return data


# Processes, told apart from later ones of the same number by when they started


def _identity(pid: int) -> tuple[int, str]:
    fields = _stat(str(pid))
    return (pid, fields[19]) if fields else (pid, "")


def _stat(name: str) -> list[str]:
    """From the state on; empty for a process that is gone or only waits to be reaped."""
    try:
        with open("/proc/" + name + "/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if not fields or fields[0] in "ZX" else fields


def descendants(root: int) -> set[tuple[int, str]]:
    parents: dict[int, int] = {}
    started: dict[int, str] = {}
    for name in os.listdir("/proc"):
        fields = _stat(name) if name.isdigit() else []
        if fields:
            parents[int(name)], started[int(name)] = int(fields[1]), fields[19]
    found: set[int] = set()
    grown = {root}
    while grown:
        grown = {pid for pid, parent in parents.items() if parent in grown} - found
        found |= grown
    return {(pid, started[pid]) for pid in found}


def kill_all(find: Any) -> None:
    """Freeze, then kill, until nobody is found: freezing first outruns what forks fast."""
    frozen: set[tuple[int, str]] = set()
    for _round in range(200):
        alive = find()
        if not alive:
            return
        fresh = alive - frozen
        for pid, _started in fresh or alive:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGSTOP if fresh else signal.SIGKILL)
        frozen |= fresh
        if not fresh:
            time.sleep(0.005)


def adopt_orphans() -> bool:
    """See that what a call's processes leave behind is still found. Where that cannot be had, a
    kernel says that it cannot answer for its peace, and is ended by whoever needs to know."""
    try:
        from ctypes import CDLL  # some images have none
    except ImportError:
        return False
    return not CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main() -> None:
    source = os.environ.pop("BERTH_WORKER")
    os.environ.pop("BERTH_KERNEL", None)
    Kernel(source, adopts_orphans=adopt_orphans()).run()
