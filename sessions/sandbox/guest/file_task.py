"""A file request as the guest sees it: a process of its own, its data passed on as credit allows."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would import enum
import os

from sessions.sandbox.guest import compact_json, spawn, wire
from sessions.sandbox.guest.input import Input
from sessions.sandbox.guest.loop import READ
from sessions.sandbox.guest.pipe import enlarge
from sessions.sandbox.guest.source import CHUNK, Source, override

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.link import Link
    from sessions.sandbox.guest.serve import Guest

_WITH_INPUT = ("write", "unpack", "watch", "add_skills")
_WRITING = ("write", "unpack", "add_skills")
NO_SPACE = "The session's disk space is used up: delete something first."
_MAX_ANSWER = 64 << 10
_CHUNK = 4 * CHUNK
"""Most data in one frame: files come with no program waiting on each line of them."""
_PIPE_BYTES = 1 << 20
_KILL_AFTER_S = 2.0
_FIRST_FD_TO_CLOSE = 3
_LAST_FD_TO_CLOSE = 1 << 16


class FileTask(Source):
    def __init__(
        self, guest: Guest, link: Link, ident: int, fields: dict[str, object], window: int
    ) -> None:
        super().__init__(link, ident)
        self._guest = guest
        self._limit = window
        self._at = 0
        self._answer = bytearray()
        self.tag = guest.tags.take()
        self._status: int | None = None
        self._is_cancelled = False
        self._is_out_of_space = False
        self.is_writing = fields.get("verb") in _WRITING
        self.frees_space = fields.get("verb") == "remove"
        self._stdin: Input | None = None
        self._data_fd, data_write = os.pipe2(os.O_CLOEXEC)
        enlarge(self._data_fd, _PIPE_BYTES)
        self._answer_fd, answer_write = os.pipe2(os.O_CLOEXEC)
        in_read, in_write = guest.null_fd, -1
        if fields.get("verb") in _WITH_INPUT:
            in_read, in_write = os.pipe2(os.O_CLOEXEC)
        try:
            self._pid = self._fork((in_read, data_write, answer_write), fields)
        except BaseException:
            for fd in (self._data_fd, self._answer_fd, in_write):
                if fd >= 0:
                    os.close(fd)
            raise
        finally:
            os.close(data_write)
            os.close(answer_write)
            if in_write >= 0:
                os.close(in_read)
        if in_write >= 0:
            self._stdin = Input(guest.loop, in_write)
            self._stdin.grant = self._grant
        for fd in (self._data_fd, self._answer_fd):
            os.set_blocking(fd, False)
        guest.loop.watch(self._data_fd, READ, self._on_data)
        guest.loop.watch(self._answer_fd, READ, self._on_answer)
        guest.adopt(self._pid, self._exited)

    def _fork(self, fds: tuple[int, int, int], fields: dict[str, object]) -> int:
        # Memory: only once files are asked for.
        from sessions.sandbox.guest.file_verbs import is_of_root, load, load_in_child, run

        verb = fields.get("verb")
        load(verb)
        root = self._guest.skills if verb == "add_skills" else self._guest.workspace

        def child() -> int:
            os.closerange(_FIRST_FD_TO_CLOSE, _LAST_FD_TO_CLOSE)  # there is no exec to do it
            return run(root, fields)

        user = None if is_of_root(fields) else self._guest.user
        return spawn.fork(user, self.tag, fds, child, lambda: load_in_child(verb))

    # From the process

    def _on_data(self, _events: int) -> None:
        self._guest.loop.unwatch(self._data_fd)  # until `produce` found it empty
        self.link.wake(self)

    def _on_answer(self, _events: int) -> None:
        data = os.read(self._answer_fd, _MAX_ANSWER)
        self._answer += data[: _MAX_ANSWER - len(self._answer)]
        if not data:
            self._close_fd("_answer_fd")
            self.link.wake(self)

    def _exited(self, status: int) -> None:
        self._status = status
        if not self._is_cancelled:
            self.link.wake(self)

    def _close_fd(self, name: str) -> None:
        fd = getattr(self, name)
        if fd >= 0:
            self._guest.loop.unwatch(fd)
            os.close(fd)
            setattr(self, name, -1)

    # To the host

    @override
    def produce(self) -> list[bytes] | None:
        room = min(self._limit - self._at, _CHUNK)
        if self._data_fd >= 0 and room > 0:
            try:
                data = os.read(self._data_fd, room)
            except BlockingIOError:
                self._guest.loop.watch(self._data_fd, READ, self._on_data)
                return None
            if data:
                head = wire.data_head(wire.OUTPUT, self.ident, wire.STDOUT, self._at, len(data))
                self._at += len(data)
                return [head, data]
            self._close_fd("_data_fd")
        if self._data_fd >= 0 or self._answer_fd >= 0 or self._status is None:
            return None
        self._leave()
        return [self._final_frame()]

    def _final_frame(self) -> bytes:
        if self._is_out_of_space and self._status != 0:
            answer = {"code": "disk_full", "message": NO_SPACE}
            return wire.frame(wire.ERROR, self.ident, compact_json.encode(answer))
        try:
            answer = compact_json.decode(bytes(self._answer))
        except ValueError:
            last_line = bytes(self._answer).decode("utf-8", "replace").strip().rpartition("\n")[2]
            message = "the file process failed: " + last_line
            self._status, answer = 1, {"code": "failed", "message": message}
        kind = wire.RESULT if self._status == 0 else wire.ERROR
        return wire.frame(kind, self.ident, compact_json.encode(answer))

    def _grant(self, limit: int) -> None:
        self.link.send(wire.position_frame(wire.CREDIT, self.ident, wire.STDIN, limit))

    def announce(self) -> None:
        if self._stdin is not None:
            self._grant(self._stdin.limit)

    # From the host

    @override
    def credit(self, stream: int, limit: int) -> None:
        if stream != wire.STDOUT:
            raise wire.WireError("no such stream")
        self._limit = max(self._limit, limit)
        self.link.wake(self)

    @override
    def input(self, offset: int, data: bytes) -> None:
        if self._stdin is None:
            raise wire.WireError("takes no input")
        self._stdin.take(offset, data)

    @override
    def input_end(self) -> None:
        if self._stdin is None:
            raise wire.WireError("takes no input")
        self._stdin.end()

    @override
    def cancel(self) -> None:
        """An upload must see the signal before the end of its input, or it would think it whole."""
        self._is_cancelled = True
        self._signal(_signal.SIGTERM)
        self._guest.loop.call_later(_KILL_AFTER_S, lambda: self._signal(_signal.SIGKILL))
        self._leave()
        self._close_fd("_data_fd")
        self._close_fd("_answer_fd")

    def stop_for_space(self) -> None:
        """An upload that would not fit leaves nothing behind, as one that is given up."""
        self._is_out_of_space = True
        self._signal(_signal.SIGTERM)

    def _signal(self, number: int) -> None:
        if self._status is None:
            os.kill(self._pid, number)

    def _leave(self) -> None:
        self.link.drop(self)
        self._guest.task_ended(self)
        if self._stdin is not None:
            self._stdin.grant = None
            self._stdin.close()
