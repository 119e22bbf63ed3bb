"""Start a process of the workspace's user: its identity, its descriptors, its environment."""

# ruff: noqa: PTH112, PTH113
# pathlib and contextlib would cost the guest memory.

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would import enum
import errno
import os
from _posixsubprocess import fork_exec
from fcntl import ioctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COMMAND_OOM_SCORE_ADJ = b"500"
"""A command is killed for memory before the guest is."""
_TIOCSCTTY = 0x540E
_ORDERS = (_signal.SIGTERM, _signal.SIGINT)
_HANDLED = (
    _signal.SIGCHLD,
    _signal.SIGTERM,
    _signal.SIGINT,
    _signal.SIGHUP,
    _signal.SIGPIPE,
    _signal.SIGXFSZ,
)


class User:
    """Whom commands run as. Where the guest is not root they run as itself."""

    def __init__(self, uid: int, gid: int) -> None:
        self.can_switch = os.geteuid() == 0
        self.uid = uid if self.can_switch else os.getuid()
        self.gid = gid if self.can_switch else os.getgid()
        self._own_groups = os.getgroups()

    def own(self, fd: int) -> None:
        """Let commands open `fd` anew, as `/dev/stdout` does."""
        if self.can_switch:
            os.fchown(fd, self.uid, self.gid)

    def assume(self, tag: range) -> None:
        """Be that user but for the saved ids, by which `resume` comes back.

        An exec overwrites those with the effective ones and drops all capabilities. Meanwhile
        they keep commands, which have no such id, from tracing the guest.
        """
        os.setgroups([tag.start])
        os.setresgid(self.gid, self.gid, 0)
        os.setresuid(self.uid, self.uid, 0)

    def resume(self) -> None:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(self._own_groups)

    def become(self, tag: range) -> None:
        """For good: in a child that does not exec."""
        os.setgroups([tag.start])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)


def base_environment(inherited: Mapping[str, str], workspace: str) -> dict[str, str]:
    """The image's environment with what a shell would set at login."""
    home = "/home/agent" if os.path.isdir("/home/agent") else workspace
    environment = {
        "PATH": DEFAULT_PATH,
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "PYTHONUNBUFFERED": "1",
    }
    environment.update(inherited)
    if environment.get("LC_CTYPE") == "C.UTF-8":
        del environment["LC_CTYPE"]  # set by our own interpreter as it started
    environment.update(HOME=home, USER="agent", LOGNAME="agent", SHELL="/bin/sh")
    return environment


def start(
    user: User,
    tag: range,
    fds: tuple[int, int, int],
    argv: list[bytes],
    cwd: bytes,
    environment: dict[bytes, bytes],
) -> tuple[int, int]:
    """Start a command in its own session, with `fds` as 0, 1 and 2.

    Returns its pid and a descriptor on which `failure` later finds why it did not start. The
    guest itself takes on the user for the moment of the start: a child that need not switch is
    made by vfork, which copies none of the guest's memory. It saves half a millisecond.
    """
    report, report_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    handlers = _take_no_orders() if user.can_switch else {}
    if user.can_switch:
        user.assume(tag)
    try:
        pid = fork_exec(
            argv,
            _candidates(argv[0], environment),
            True,  # close all other descriptors
            (report_write,),
            os.fsdecode(cwd),
            [name + b"=" + value for name, value in environment.items()],
            fds[0], -1, -1, fds[1], -1, fds[2],
            report, report_write,
            True,  # restore the signals that Python ignores
            True,  # a new session
            -1, None, None, None, 0o022,
            None,  # type: ignore[arg-type]  # nothing to run before the exec
            True,
        )  # fmt: skip
    except BaseException:
        os.close(report)
        raise
    finally:
        if user.can_switch:
            user.resume()
        for number, handler in handlers.items():
            _signal.signal(number, handler)
        os.close(report_write)
    _raise_oom_score(str(pid))
    return pid, report


def _take_no_orders() -> dict[int, Any]:
    """Commands may signal the guest while it is their user; returns the handlers to put back.

    Without a handler the kernel keeps what comes from inside a container from its PID 1. A guest
    that is not PID 1 is not isolated in any case.
    """
    if os.getpid() != 1:
        return {}
    return {number: _signal.signal(number, _signal.SIG_DFL) for number in _ORDERS}


def failure(
    report: int, argv: list[bytes], cwd: bytes, environment: dict[bytes, bytes]
) -> tuple[int, str] | None:
    """Exit status and message, as a shell's, of a command that did not start."""
    try:
        text = os.read(report, 4096)
    except BlockingIOError:
        return None
    if not text.startswith((b"OSError:", b"RuntimeError:")):
        return None
    _kind, number, stage = text.split(b":", 2)
    code = int(number, 16)
    if stage.startswith(b"noexec"):
        return 126, "cannot enter " + repr(os.fsdecode(cwd)) + ": " + os.strerror(code)
    return _not_executed(argv[0], code, environment)


def _not_executed(name: bytes, code: int, environment: dict[bytes, bytes]) -> tuple[int, str]:
    text = os.fsdecode(name)
    if b"/" in name:
        return (127 if code == errno.ENOENT else 126), text + ": " + os.strerror(code)
    # A folder of PATH that may not be entered says nothing about the command.
    if not any(os.path.isfile(place) for place in _candidates(name, environment)):
        return 127, text + ": command not found"
    return 126, text + ": " + os.strerror(code)


def fork(
    user: User | None,
    tag: range,
    fds: tuple[int, int, int],
    child: Callable[[], int],
    prepare: Callable[[], None] = lambda: None,
) -> int:
    """Run `child` in a new process in its own session; returns its pid.

    `fds` become 0, 1 and 2. `prepare` runs there before the process becomes the workspace's user.
    What `child` returns is its exit status. Without a `user` it stays what the guest is.

    Raises: OSError when no process can be had; nothing is changed then.
    """
    mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, _HANDLED)
    try:
        pid = os.fork()
    except OSError:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
        raise
    if pid:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
        return pid
    status = 126
    try:
        # A signal that arrives now must not be written to the guest's wake-up pipe.
        _signal.set_wakeup_fd(-1)
        for number in _HANDLED:
            _signal.signal(number, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        os.setsid()
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
        _raise_oom_score("self")
        prepare()
        if user is not None and user.can_switch:
            user.become(tag)
        status = child()
    except BaseException as error:  # noqa: BLE001 - nothing of the guest may go on in this process
        complain(repr(error))
    finally:
        os._exit(status)


def _raise_oom_score(process: str) -> None:
    try:
        fd = os.open("/proc/" + process + "/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, COMMAND_OOM_SCORE_ADJ)
        os.close(fd)
    except OSError:
        pass  # gone already, or /proc is read-only; the limits hold all the same


def take_terminal() -> None:
    """Make standard input, a terminal, the controlling one. In the child."""
    ioctl(0, _TIOCSCTTY, 0)


def execute(argv: list[bytes], cwd: bytes, environment: dict[bytes, bytes]) -> int:
    """Become the command. Returns only on failure: 127 not found, else 126, as shells do."""
    try:
        os.chdir(cwd)
    except OSError as error:
        complain("cannot enter " + repr(os.fsdecode(cwd)) + ": " + str(error.strerror))
        return 126
    code = errno.ENOENT
    for candidate in _candidates(argv[0], environment):
        try:
            os.execve(candidate, argv, environment)  # noqa: S606 - the point of it
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                code = error.errno or errno.EACCES
    status, message = _not_executed(argv[0], code, environment)
    complain(message)
    return status


def _candidates(name: bytes, environment: dict[bytes, bytes]) -> list[bytes]:
    if b"/" in name or not name:
        return [name]
    path = environment.get(b"PATH", DEFAULT_PATH.encode())
    return [(folder or b".") + b"/" + name for folder in path.split(b":")]


def complain(message: str) -> None:
    """On the command's own standard error. In the child."""
    os.write(2, ("berth: " + message + "\n").encode("utf-8", "surrogateescape"))
