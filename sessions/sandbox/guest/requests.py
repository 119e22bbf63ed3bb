"""Requests: what a host asks besides commands. Each is answered by one RESULT or ERROR."""

from __future__ import annotations

from sessions.sandbox.guest import compact_json, wire
from sessions.sandbox.guest.cgroup import disk_figures
from sessions.sandbox.guest.file_task import NO_SPACE
from sessions.sandbox.guest.process_tree import members
from sessions.sandbox.guest.source import RefusedError, Source, override
from sessions.sandbox.guest.start_request import MAX_WINDOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.link import Link
    from sessions.sandbox.guest.serve import Guest

FILE_VERBS = frozenset(
    (
        "stat",
        "list",
        "read",
        "write",
        "make_dir",
        "rename",
        "remove",
        "archive",
        "unpack",
        "watch",
        "add_skills",
    )
)


def open_request(guest: Guest, link: Link, ident: int, fields: dict[str, object]) -> Source:
    """Raises: RefusedError for a verb that there is not."""
    verb = fields.get("verb")
    if not isinstance(verb, str):
        raise RefusedError("bad_request", "bad value for verb")
    if verb == "usage":
        figures = _usage(guest)
        if fields.get("programs") is True:
            figures["programs"] = len(members(guest.tags.taken(), 0))
        return AnsweredRequest(link, ident, figures)
    if verb == "foreground":
        return ForegroundRequest(guest, link, ident, fields)
    if verb == "set_limits":
        guest.disk.set_limit(_disk_limit(fields.get("disk_bytes")))
        return AnsweredRequest(link, ident, {})
    if verb in FILE_VERBS:
        window = fields.get("window", MAX_WINDOW)
        if isinstance(window, bool) or not isinstance(window, int):
            raise RefusedError("bad_request", "bad value for window")
        if verb == "write" and guest.disk.is_full:
            guest.disk.recount()
            raise RefusedError("disk_full", NO_SPACE)
        return guest.open_file_task(link, ident, fields, min(max(window, 0), MAX_WINDOW))
    raise RefusedError("bad_request", "no such verb")


def _usage(guest: Guest) -> dict[str, object]:
    free, total, _is_full = disk_figures(guest.workspace)
    return {
        **guest.cgroup.figures(),
        "disk_free_bytes": free,
        "disk_total_bytes": total,
        "disk_used_bytes": guest.disk.used,
        "disk_limit_bytes": guest.disk.limit,
    }


def _disk_limit(value: object) -> int | None:
    """Raises: RefusedError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= wire.MAX_OFFSET:
        raise RefusedError("bad_request", "bad value for disk_bytes")
    return value


class AnsweredRequest(Source):
    """One whose answer is known at once."""

    def __init__(self, link: Link, ident: int, answer: dict[str, object]) -> None:
        super().__init__(link, ident)
        self._answer = answer

    @override
    def produce(self) -> list[bytes] | None:
        self.link.drop(self)
        return [wire.frame(wire.RESULT, self.ident, compact_json.encode(self._answer))]

    @override
    def cancel(self) -> None:
        pass


class ForegroundRequest(Source):
    """Whether something runs in a terminal other than the program it was opened with."""

    def __init__(self, guest: Guest, link: Link, ident: int, fields: dict[str, object]) -> None:
        super().__init__(link, ident)
        self._is_busy = guest.is_foreground_busy(str(fields.get("exec_id")))

    @override
    def produce(self) -> list[bytes] | None:
        self.link.drop(self)
        return [wire.frame(wire.RESULT, self.ident, compact_json.encode({"busy": self._is_busy}))]

    @override
    def cancel(self) -> None:
        pass
