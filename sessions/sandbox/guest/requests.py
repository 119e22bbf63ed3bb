"""Requests: what a host asks besides commands. Each is answered by one RESULT or ERROR."""

from __future__ import annotations

from sessions.sandbox.guest import compact_json, wire
from sessions.sandbox.guest.cgroup import disk_figures
from sessions.sandbox.guest.source import RefusedError, Source, override

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.link import Link
    from sessions.sandbox.guest.serve import Guest


def open_request(guest: Guest, link: Link, ident: int, fields: dict[str, object]) -> Source:
    """Raises: RefusedError for a verb that there is not."""
    verb = fields.get("verb")
    if verb == "usage":
        return UsageRequest(guest, link, ident)
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
