"""A count of what a session holds on disk as the guest sees it: a process, and its answer."""

from __future__ import annotations

import os

from sessions.sandbox.guest import compact_json, spawn
from sessions.sandbox.guest.loop import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sessions.sandbox.guest.serve import Guest

_MAX_ANSWER = 1 << 20
_FIRST_FD_TO_CLOSE = 3
_LAST_FD_TO_CLOSE = 1 << 16


class CountProcess:
    """Calls `on_answer` once with what `disk_count.count` returned, or {} when it failed.

    Raises: OSError when no process can be made.
    """

    def __init__(
        self,
        guest: Guest,
        scratch: str,
        places: list[str] | None,
        since: float,
        on_answer: Callable[[dict[str, object]], None],
    ) -> None:
        self._guest = guest
        self._on_answer = on_answer
        self._answer = bytearray()

        def child() -> int:
            os.closerange(_FIRST_FD_TO_CLOSE, _LAST_FD_TO_CLOSE)
            # Memory: in this process only.
            from sessions.sandbox.guest.disk_count import count

            tags = guest.tags.taken()
            answer = count(guest.user, guest.workspace, scratch, places, tags, since)
            data = memoryview(compact_json.encode(answer))
            while data:
                data = data[os.write(1, data) :]
            return 0

        self._reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            pid = spawn.fork(None, range(0), (guest.null_fd, writer, 2), child)
        except OSError:
            os.close(self._reader)
            raise
        finally:
            os.close(writer)
        guest.adopt(pid, lambda _status: None)
        os.set_blocking(self._reader, False)
        guest.loop.watch(self._reader, READ, self._on_readable)

    def _on_readable(self, _events: int) -> None:
        try:
            data = os.read(self._reader, 1 << 16)
        except BlockingIOError:
            return
        self._answer += data[: _MAX_ANSWER - len(self._answer)]
        if data:
            return
        self._guest.loop.unwatch(self._reader)
        os.close(self._reader)
        try:
            answer = compact_json.decode(bytes(self._answer))
        except ValueError:
            answer = {}
        self._on_answer(answer)
