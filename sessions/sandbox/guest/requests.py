"""Requests: what a host asks besides commands. Each is answered by one RESULT or ERROR."""

from __future__ import annotations

from sessions.sandbox.guest import compact_json, wire
from sessions.sandbox.guest.cgroup import disk_figures
from sessions.sandbox.guest.source import RefusedError, Source, override
from sessions.sandbox.guest.start_request import MAX_WINDOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.link import Link
    from sessions.sandbox.guest.serve import Guest

FILE_VERBS = frozenset(
    ("stat", "list", "read", "write", "make_dir", "rename", "remove", "archive", "unpack", "watch")
)


def open_request(guest: Guest, link: Link, ident: int, fields: dict[str, object]) -> Source:
    """Raises: RefusedError for a verb that there is not."""
    verb = fields.get("verb")
    if not isinstance(verb, str):
        raise RefusedError("bad_request", "bad value for verb")
    if verb == "usage":
        return UsageRequest(guest, link, ident)
    if verb in FILE_VERBS:
        window = fields.get("window", MAX_WINDOW)
        if isinstance(window, bool) or not isinstance(window, int):
            raise RefusedError("bad_request", "bad value for window")
        return guest.open_file_task(link, ident, fields, min(max(window, 0), MAX_WINDOW))
    raise RefusedError("bad_request", "no such verb")


class UsageRequest(Source):
    def __init__(self, guest: Guest, link: Link, ident: int) -> None:
        super().__init__(link, ident)
        free, total, _is_full = disk_figures(guest.workspace)
        self._figures = {
            **guest.cgroup.figures(),
            "disk_free_bytes": free,
            "disk_total_bytes": total,
        }

    @override
    def produce(self) -> list[bytes] | None:
        self.link.drop(self)
        return [wire.frame(wire.RESULT, self.ident, compact_json.encode(self._figures))]

    @override
    def cancel(self) -> None:
        pass
