"""One command: its process, its output streams, and the one way it ended."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would import enum
import os
import time
from fcntl import ioctl
from struct import Struct, unpack

from sessions.sandbox.guest import spawn, wire
from sessions.sandbox.guest.cgroup import disk_figures
from sessions.sandbox.guest.input import Input
from sessions.sandbox.guest.loop import READ
from sessions.sandbox.guest.process_tree import kill_tree
from sessions.sandbox.guest.spool import READ_BYTES, Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.attachment import Attachment
    from sessions.sandbox.guest.call_log import CallLog
    from sessions.sandbox.guest.loop import Loop, Timer
    from sessions.sandbox.guest.serve import Guest
    from sessions.sandbox.guest.start_request import StartRequest

GRACE_S = 0.25
"""How long the end waits for output pipes that something else still holds open."""
_KILL_AGAIN_S = 0.01
_FIONREAD = 0x541B
_TIOCSWINSZ = 0x5414
_WINDOW_SIZE = Struct("HHHH")
_MEMORY_TAKES_S = 0.01
"""No command uses up its memory sooner: 64 MiB take about so long to fill. Asking the kernel costs a
third of a millisecond, a quarter of a short command's whole time."""
_KILLED_IN_A_SHELL = 128 + _signal.SIGKILL


class OutputStream:
    """The reading end of one pipe (or terminal) and what was read and is not yet stored."""

    def __init__(self, command: Command, number: int, fd: int) -> None:
        self.command = command
        self.number = number
        self.spool = Spool(command.guest.room)
        self.is_final = False
        """No byte will be added any more."""
        self._fd = fd
        self._left: int | None = None
        os.set_blocking(fd, False)
        self.resume()

    def resume(self) -> None:
        if not self.is_final:
            self.command.loop.watch(self._fd, READ, self._on_readable)

    def _on_readable(self, _events: int) -> None:
        if not self.spool.may_read():
            self.command.loop.unwatch(self._fd)  # until the host has stored some: `freed`
        else:
            if self.number == wire.PTY:
                # 4 KiB at a time is all it hands out: a frame for each would cost more than it.
                self.read_rest()
            else:
                self._read()
            self.command.output_arrived(self)

    def freed(self) -> None:
        if self.spool.may_read():
            self.resume()

    def read_rest(self) -> None:
        """What is there right now, as far as there is room for it."""
        for _turn in range(16):
            if self.is_final or not self.spool.may_read() or not self._read():
                return

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # EIO: the last process let go of the terminal
        if not data:
            self._finalize(at_end=True)
            return False
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self.spool.append(data)
        self.command.log(data)
        if self._left == 0:
            self._finalize(at_end=False)
        return True

    def grace_over(self) -> None:
        """Only what is in the pipe by now still belongs to the command."""
        if self.is_final:
            return
        waiting = bytearray(4)
        ioctl(self._fd, _FIONREAD, waiting)
        self._left = unpack("i", waiting)[0]
        if self._left == 0:
            self._finalize(at_end=False)

    def _finalize(self, *, at_end: bool) -> None:
        self.is_final = True
        if at_end:
            self.command.loop.unwatch(self._fd)
            os.close(self._fd)
        else:
            # Somebody in the background still writes: read it away, so that they never block.
            self.command.loop.watch(self._fd, READ, self._drain)

    def _drain(self, _events: int) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.command.loop.unwatch(self._fd)
            os.close(self._fd)

    def owner(self) -> int:
        """The process group that has the terminal; 0 when that cannot be told."""
        try:
            return os.tcgetpgrp(self._fd)
        except OSError:
            return 0

    def resize(self, columns: int, rows: int) -> None:
        if not self.is_final:
            set_window_size(self._fd, columns, rows)


class Command:
    def __init__(self, guest: Guest, request: StartRequest) -> None:
        self.guest = guest
        self.loop: Loop = guest.loop
        self.exec_id = request.exec_id
        self.attachment: Attachment | None = None
        self.streams: dict[int, OutputStream] = {}
        self.stdin: Input | None = None
        self.ended: dict[str, object] | None = None
        """What ENDED says, once that is decided."""
        self.is_told = False
        """A host was sent the end and has stored all output."""
        self._request = request
        self.tag = guest.tags.take()
        self.user = spawn.User(*request.user) if request.user else guest.user
        self._cause = ""
        self._is_killing = False
        self._status: int | None = None
        self._timer: Timer | None = None
        self._log: CallLog | None = None
        self._log_path = ""
        self._report = -1
        self._failure: int | None = None
        self._program = self._resolve(request)
        self._started_at = time.monotonic()
        self._exited_at = self._started_at
        self.pid = self._spawn_terminal(*request.pty) if request.pty else self._spawn_pipes()
        self._oom_kills = guest.oom_watch.known
        if request.timeout_s is not None:
            self._timer = self.loop.call_later(request.timeout_s, lambda: self.kill("timeout"))

    def _resolve(self, request: StartRequest) -> tuple[list[bytes], bytes, dict[bytes, bytes]]:
        """Words, folder and environment as the kernel takes them."""
        environment = {**self.guest.environment, **self._identity(request), **request.env}
        return (
            [_bytes(word) for word in request.argv],
            _bytes(self.guest.place(request.cwd)),
            {_bytes(name): _bytes(value) for name, value in environment.items()},
        )

    def _identity(self, request: StartRequest) -> dict[str, str]:
        """What the base environment says of another user than the workspace's."""
        if request.user is None:
            return {}
        name = str(self.user.uid) if self.user.uid else "root"
        return {"HOME": "/tmp" if self.user.uid else "/root", "USER": name, "LOGNAME": name}  # noqa: S108

    def _spawn_pipes(self) -> int:
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        in_read, in_write = self.guest.null_fd, -1
        if self._request.stdin:
            in_read, in_write = os.pipe2(os.O_CLOEXEC)
            self.user.own(in_read)
        self.user.own(out_write)
        self.user.own(err_write)
        try:
            fds = (in_read, out_write, err_write)
            pid, self._report = spawn.start(self.user, self.tag, fds, *self._program)
        except BaseException:
            for fd in (out_read, err_read, in_write):
                if fd >= 0:
                    os.close(fd)
            raise
        finally:
            os.close(out_write)
            os.close(err_write)
            if self._request.stdin:
                os.close(in_read)
        if self._request.stdin:
            self.stdin = Input(self.loop, in_write)
        self.streams[wire.STDOUT] = OutputStream(self, wire.STDOUT, out_read)
        self.streams[wire.STDERR] = OutputStream(self, wire.STDERR, err_read)
        return pid

    def _spawn_terminal(self, columns: int, rows: int) -> int:
        main, terminal = os.openpty()
        set_window_size(main, columns, rows)
        self.user.own(terminal)

        def child() -> int:
            spawn.take_terminal()
            return spawn.execute(*self._program)

        try:
            pid = spawn.fork(self.user, self.tag, (terminal, terminal, terminal), child)
        except BaseException:
            os.close(main)
            raise
        finally:
            os.close(terminal)
        self.streams[wire.PTY] = OutputStream(self, wire.PTY, main)
        self.stdin = Input(self.loop, os.dup(main))
        return pid

    def output_arrived(self, stream: OutputStream) -> None:
        if self.attachment is not None:
            self.attachment.wake()
        if stream.is_final:
            self._finish_if_done()

    def log(self, data: bytes) -> None:
        if not self._request.keep_log:
            return
        if self._log is None:
            self._log = self.guest.logs.open(self.exec_id)
            if self._log is None:
                self._request.keep_log = False
                return
            self._log_path = self._log.path
        self._log.write(data)

    def left_running(self, sizes: dict[int, int]) -> int:
        """How many processes this command, which has ended, left behind."""
        return sizes.get(self.tag.start, 0)

    def end_leftovers(self) -> bool:
        """False: some are alive still."""
        return kill_tree(self.tag, 0)

    def kill(self, cause: str) -> None:
        """Kill all that this command started, also what it left running when it ended."""
        if self._status is None:
            self._cause = self._cause or cause
        root = self.pid if self._status is None else 0
        # Its end is told when nobody is left, not when the first one is gone.
        self._is_killing = not kill_tree(self.tag, root)
        if self._is_killing:
            self.loop.call_later(_KILL_AGAIN_S, lambda: self.kill(cause))
        elif self._status is not None:
            self._finish_if_done()

    def exited(self, status: int) -> None:
        """The main process was reaped."""
        self._status = status
        self._exited_at = time.monotonic()
        if self._timer is not None:
            self._timer.cancel()
        for stream in self.streams.values():
            stream.read_rest()
        self._look_for_failure()
        if not self._finish_if_done():
            self.loop.call_later(GRACE_S, self._grace_over)
        if self.attachment is not None:
            self.attachment.wake()

    def _look_for_failure(self) -> None:
        """A command that could not be started says so on its standard error."""
        if self._report < 0:
            return
        failure = spawn.failure(self._report, *self._program)
        os.close(self._report)
        self._report = -1
        if failure is not None:
            self._failure, message = failure
            data = ("berth: " + message + "\n").encode("utf-8", "surrogateescape")
            self.streams[wire.STDERR].spool.append(data)
            self.log(data)

    def is_foreground_busy(self) -> bool:
        """In a terminal: whether another job than the main process's has it."""
        terminal = self.streams.get(wire.PTY)
        return self._status is None and terminal is not None and terminal.owner() != self.pid

    def is_followed(self) -> bool:
        return self.attachment is not None and not self.attachment.is_over()

    def forget_output(self) -> None:
        for stream in self.streams.values():
            stream.spool.forget(stream.spool.end)

    def _grace_over(self) -> None:
        for stream in self.streams.values():
            stream.grace_over()
        self._finish_if_done()

    def _finish_if_done(self) -> bool:
        if self.ended is not None:
            return True
        if (
            self._status is None
            or self._is_killing
            or not all(s.is_final for s in self.streams.values())
        ):
            return False
        if self.stdin is not None:
            self.stdin.close()
        if self._log is not None:
            self._log.close()
        self.ended = {
            **self._ending(self._status),
            "duration_ms": int((self._exited_at - self._started_at) * 1000),
            "sizes": {str(n): stream.spool.end for n, stream in self.streams.items()},
            "log_path": self._log_path,
        }
        self.guest.command_ended(self)
        if self.attachment is not None:
            self.attachment.wake()
        return True

    def _ending(self, status: int) -> dict[str, object]:
        if self._failure is not None:
            return {"kind": "exit", "exit_code": self._failure}
        code = os.waitstatus_to_exitcode(status)
        signal = signal_name(-code) if code < 0 else None
        has_ended_itself = code >= 0 and code != _KILLED_IN_A_SHELL
        if self._cause == "timeout" and not has_ended_itself:
            return {"kind": "timeout", "timeout_s": self._request.timeout_s, "signal": signal}
        if self._cause == "disk_full":
            return {"kind": "disk_full", "signal": signal, **self.guest.disk.sizes()}
        # Where everything stood still, time runs out in the moment in which the command ends.
        if self._cause and self._cause != "timeout":
            return {"kind": self._cause, "signal": signal}
        was_killed = code in (-_signal.SIGKILL, _KILLED_IN_A_SHELL)
        memory = self._memory_that_ran_out(was_killed)
        if memory and was_killed:
            return {"kind": "oom", "signal": "SIGKILL", **memory}
        if code < 0:
            return {"kind": "signal", "signal": signal}
        if code > 0:
            for folder in self.guest.disk.folders:
                free, total, is_full = disk_figures(folder)
                if is_full and free is not None and total is not None:
                    used = total - free
                    return {"kind": "disk_full", "limit_bytes": total, "used_bytes": used}
        return {"kind": "exit", "exit_code": code, **memory}

    def _memory_that_ran_out(self, was_killed: bool) -> dict[str, object]:
        """How many processes the kernel killed for memory while this command ran, with limit and
        peak; empty for none. They may be another command's: the kernel counts for all together."""
        if not was_killed and self._exited_at - self._started_at < _MEMORY_TAKES_S:
            return {}
        cgroup = self.guest.cgroup
        kills = cgroup.oom_kills() - self._oom_kills
        if kills <= 0:
            return {}
        limit, peak = cgroup.memory_limit(), cgroup.memory_peak()
        return {"oom_kills": kills, "limit_bytes": limit, "peak_bytes": peak}


def set_window_size(fd: int, columns: int, rows: int) -> None:
    ioctl(fd, _TIOCSWINSZ, _WINDOW_SIZE.pack(rows, columns, 0, 0))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def signal_name(number: int) -> str:
    for name in dir(_signal):
        if name.startswith("SIG") and "_" not in name and getattr(_signal, name) == number:
            return name
    return "SIGRTMIN+" + str(number - _signal.SIGRTMIN)
