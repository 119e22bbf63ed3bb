"""The guest itself: PID 1 of a container, or a plain child process in tests."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would import enum
import gc
import os

from sessions.sandbox.guest.attachment import Attachment
from sessions.sandbox.guest.call_log import LogFolder
from sessions.sandbox.guest.cgroup import Cgroup
from sessions.sandbox.guest.command import Command
from sessions.sandbox.guest.disk_watch import DiskWatch
from sessions.sandbox.guest.doorway import Doorway
from sessions.sandbox.guest.file_task import FileTask
from sessions.sandbox.guest.link import Link
from sessions.sandbox.guest.loop import Loop
from sessions.sandbox.guest.oom_watch import OomWatch
from sessions.sandbox.guest.process_tree import Tags, kill_tree, sizes
from sessions.sandbox.guest.requests import open_request
from sessions.sandbox.guest.source import RefusedError, Source
from sessions.sandbox.guest.spawn import User, base_environment
from sessions.sandbox.guest.spool import Room
from sessions.sandbox.guest.start_request import StartRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_RUNNING = 256
_MAX_ENDED = 256
_ENDED_AT_ONCE = 32
_MAX_FILE_TASKS = 64
_ROOM_TRIES = 16
_MAX_REMEMBERED = 10_000
_STANDARD_WORKSPACE = "/workspace"
_HOSTED_WORKSPACE = "/mnt/data"
_HOSTED_SKILLS = "/home/oai/skills"


class Guest:
    def __init__(self, options: dict[str, str]) -> None:
        self.loop = Loop()
        self.workspace = options["workspace"]
        self.skills = options["skills"]
        self.user = User(int(options["uid"]), int(options["gid"]))
        self.environment = base_environment(os.environ, self.workspace)
        self.logs = LogFolder(options["run-dir"] + "/calls")
        self.cgroup = Cgroup()
        self.oom_watch = OomWatch(self.loop, self.cgroup)
        self.tags = Tags()
        self.room = Room(self.cgroup.memory_limit)
        self.disk = DiskWatch(self, options["scratch"])
        self.null_fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._commands: dict[str, Command] = {}
        """Running and ended, in the order of their starts."""
        self._running = 0
        self._children: dict[int, Callable[[int], None]] = {}
        self._forgotten: dict[str, None] = {}
        """Ids of commands that ended and are no longer kept: they are not started again."""
        self._tasks: set[FileTask] = set()
        self._links: set[Link] = set()
        self._doorway = Doorway(self.loop, options["socket"], self._admit)

    def run(self) -> None:
        _heed_signals()
        self.loop.on_signals([_signal.SIGCHLD, _signal.SIGTERM, _signal.SIGINT], self._on_signal)
        gc.collect()
        gc.freeze()  # keeps the collector from touching, and so copying, pages after a fork
        self.loop.run()
        self._doorway.close()
        kill_tree(self.tags.taken(), 0)

    def place(self, path: str) -> str:
        """Where `/workspace/...` is in this guest; other paths as they are."""
        if path == _STANDARD_WORKSPACE or path.startswith(_STANDARD_WORKSPACE + "/"):
            return self.workspace + path[len(_STANDARD_WORKSPACE) :]
        return path

    # Connections

    def _admit(self, in_fd: int, out_fd: int) -> Link:
        link = Link(self, in_fd, out_fd)
        self._links.add(link)
        return link

    def link_closed(self, link: Link) -> None:
        self._links.discard(link)
        self._doorway.link_closed(link)

    # Commands

    def start(self, link: Link, ident: int, fields: dict[str, object]) -> Source:
        request = StartRequest(fields)
        command = self._commands.get(request.exec_id)
        existed = command is not None
        if command is None:
            self._check_may_start(request)
            command = self._start_command(request)
            self.adopt(command.pid, command.exited)
            self._running += 1
            self._commands[request.exec_id] = command
            self.disk.wake()
        attachment = Attachment(link, ident, command, request)
        if existed or command.stdin is not None:
            attachment.announce(existed=existed)
        return attachment

    def _start_command(self, request: StartRequest) -> Command:
        """With no process to be had, what ended commands left running makes room.

        A fork bomb in the background could otherwise never be ended: that takes a command.
        """
        for _try in range(_ROOM_TRIES):
            try:
                return Command(self, request)
            except BlockingIOError:
                if not self._make_room():
                    break
        raise RefusedError("busy", "no process more may be started: the limit is reached")

    def _make_room(self) -> bool:
        """End what the one of the ended commands with most processes left; False: none did."""
        counts = sizes(self.tags.taken())
        ended = [command for command in self._commands.values() if command.ended]
        busiest = max(ended, key=lambda command: command.left_running(counts), default=None)
        if busiest is None or not busiest.left_running(counts):
            return False
        for _try in range(_ROOM_TRIES):
            if busiest.end_leftovers():
                break
        self._reap()
        return True

    def _check_may_start(self, request: StartRequest) -> None:
        if request.attach_only:
            raise RefusedError("unknown_exec", "no such command")
        if request.exec_id in self._forgotten:
            raise RefusedError("forgotten", "ended, and its output is no longer kept")
        if any(request.offsets.values()):
            raise RefusedError("offset_gone", "a new command has no output yet")
        if self._running >= _MAX_RUNNING:
            raise RefusedError("busy", "too many commands at once")

    def is_foreground_busy(self, exec_id: str) -> bool:
        command = self._commands.get(exec_id)
        return command is not None and command.is_foreground_busy()

    def command_ended(self, command: Command) -> None:
        """Keep it for a host that comes back, within bounds."""
        self._running -= 1
        self.oom_watch.look_soon()
        crowd = len(self._commands) - self._running
        # A look at all of them is not for the end of each.
        if crowd > _MAX_ENDED + _ENDED_AT_ONCE:
            self._forget_some(crowd - _MAX_ENDED)

    def _forget_some(self, count: int) -> None:
        """Those that a host knows all of first; others are never more than may run at once."""
        idle = [c for c in self._commands.values() if c.ended and not c.is_followed()]
        for old in sorted(idle, key=lambda command: not command.is_told)[:count]:
            if old.attachment is not None:
                old.attachment.cancel()
            old.forget_output()
            del self._commands[old.exec_id]
            self._forgotten[old.exec_id] = None
        while len(self._forgotten) > _MAX_REMEMBERED:
            del self._forgotten[next(iter(self._forgotten))]

    @property
    def is_busy(self) -> bool:
        """Whether anything that the guest itself started may be writing."""
        return self._running > 0 or any(task.is_writing for task in self._tasks)

    def stop_writers(self, tags: set[int]) -> None:
        """End the commands with these groups as `disk_full`, with what they left running, and
        uploads."""
        for command in list(self._commands.values()):
            if command.tag.start in tags:
                command.kill("disk_full")
                tags.discard(command.tag.start)
        tags -= {task.tag.start for task in self._tasks}
        for tag in tags:  # of commands that are no longer kept
            kill_tree(range(tag, tag + 1), 0)
        for task in [task for task in self._tasks if task.is_writing]:
            task.stop_for_space()

    def request(self, link: Link, ident: int, fields: dict[str, object]) -> Source:
        return open_request(self, link, ident, fields)

    def open_file_task(
        self, link: Link, ident: int, fields: dict[str, object], window: int
    ) -> Source:
        if len(self._tasks) >= _MAX_FILE_TASKS:
            raise RefusedError("busy", "too many file requests at once")
        try:
            task = FileTask(self, link, ident, fields, window)
        except BlockingIOError:
            raise RefusedError("busy", "no process more may be started") from None
        self._tasks.add(task)
        self.disk.wake()
        task.announce()
        return task

    def task_ended(self, task: FileTask) -> None:
        self._tasks.discard(task)
        if task.frees_space:
            self.disk.recount()

    # Processes

    def adopt(self, pid: int, on_exit: Callable[[int], None]) -> None:
        """Tell `on_exit` the wait status of this child."""
        self._children[pid] = on_exit

    def _on_signal(self, number: int) -> None:
        if number == _signal.SIGCHLD:
            self._reap()
        else:
            self.loop.stop()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            on_exit = self._children.pop(pid, None)
            if on_exit is not None:
                on_exit(status)


def serve(options: dict[str, str]) -> None:
    os.umask(0o022)
    if os.getpid() != 1:
        from sessions.sandbox.guest.subreaper import become_subreaper  # needs ctypes: tests only

        become_subreaper()
    else:
        _link(_HOSTED_WORKSPACE, options["workspace"])
        _make_skills_folder(options["skills"])
        _link(_HOSTED_SKILLS, options["skills"])
    guest = Guest(options)
    if options["disk-limit"]:
        guest.disk.set_limit(int(options["disk-limit"]))
    if guest.user.can_switch:
        # A new volume belongs to root wherever the image has no workspace of its own.
        os.chown(guest.workspace, guest.user.uid, guest.user.gid)
    guest.run()


def _make_skills_folder(path: str) -> None:
    """Before any command could; empty until skills come."""
    try:  # noqa: SIM105  (contextlib would cost the guest memory, as would pathlib)
        os.mkdir(path, 0o755)  # noqa: PTH102  (pathlib would cost the guest memory)
    except OSError:  # looked at when skills come
        pass


def _link(path: str, target: str) -> None:
    """Programs written for the hosted containers know the target as `path`."""
    try:
        # pathlib would cost the guest memory.
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        os.symlink(target, path)  # noqa: PTH211
    except OSError:  # an image with something of its own there, or that nothing is written to
        pass


def _heed_signals() -> None:
    """Commands inherit what the guest ignores, and it inherits that of whoever started it (nohup,
    a shell's background job). What Python itself ignores is put right when a command starts."""
    kept = (_signal.SIGPIPE, _signal.SIGXFSZ)
    for number in range(1, 32):
        if number not in kept and _signal.getsignal(number) == _signal.SIG_IGN:
            _signal.signal(number, _signal.SIG_DFL)
