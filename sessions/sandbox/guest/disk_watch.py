"""Keeps a session within its disk space where no quota of the kernel does.

Asking a file system for its free space is cheap, counting a tree is not. So free space is looked
at ten times a second while something runs, and the tree is counted only when that moved by more
than what could matter since the last count. What other sessions write on the same disk causes
further counts, never a wrong one. A session in which nothing runs costs nothing.
"""

from __future__ import annotations

import time

from sessions.sandbox.guest.cgroup import disk_figures
from sessions.sandbox.guest.count_process import CountProcess
from sessions.sandbox.guest.process_tree import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.serve import Guest

_TICK_S = 0.1
_QUIET_TICK_S = 1.0
"""Between looks while no command runs, but something that one left behind does."""
_STEPS = 64
"""Free space that moved by this part of the limit is worth a count, ..."""
_SMALLEST_STEP = 256 << 10
"""... but less than this never is."""
_STILL_STEPS = 1024
"""The same once it stands still: a figure that stays is to be right."""
_STILL_S = 1.0
_RECOUNT_S = 30.0
"""The longest without a count while something runs: others may free what this session takes. A
count that takes long is repeated less often."""
_RECOUNT_FACTOR = 50
_PAUSE_FACTOR = 8
"""Between counts passes this many times what the last one took, but no more than `_MAX_PAUSE_S`
unless twice what it took is longer."""
_MAX_PAUSE_S = 1.0
_SLACK = 64 << 10
_AGAIN_S = 5.0
"""Growth so soon after its writers were stopped had another cause: whoever runs is stopped."""
_LONG_AGO = -1e9


class DiskWatch:
    """`scratch` is the top of the writable layer, empty where only the workspace counts."""

    def __init__(self, guest: Guest, scratch: str) -> None:
        self.limit: int | None = None
        self.used: int | None = None
        """As of the last count."""
        self._guest = guest
        self._scratch = scratch
        self._places: list[str] | None = None
        # File times come from a coarser clock, which is a little behind.
        self._started_at = time.time() - 1.0
        self._is_ticking = False
        self._is_counting = False
        self._is_stale = True
        self._is_settled = False
        """Whether the last count was made when nothing ran any more."""
        self._free = self._free_counted = 0
        """Free bytes at the last look, and as the last count began."""
        self._free_moved = 0
        self._moved_at = _LONG_AGO
        """When free space last moved by more than `_SMALLEST_STEP`, and where to."""
        self._began_at = self._counted_at = self._stopped_at = _LONG_AGO
        self._took = 0.0
        self._written: dict[int, int] = {}
        self._allowed: int | None = None
        """Over the limit, what is there may stay; None where that is yet to be found out."""

    @property
    def folders(self) -> list[str]:
        """One of each file system that the session may write."""
        return [self._guest.workspace, *([self._scratch] if self._scratch else ())]

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.used is not None and self.used >= self.limit

    def sizes(self) -> dict[str, object]:
        return {"limit_bytes": self.limit, "used_bytes": self.used}

    def set_limit(self, limit: int | None) -> None:
        if limit != self.limit:
            self.limit = self._allowed = limit
            self.recount()

    def recount(self) -> None:
        """The last count is known to be out of date."""
        self._is_stale = True
        self.wake()

    def wake(self) -> None:
        """Something may be written from now on."""
        self._is_settled = False
        self._look_soon()

    def _look_soon(self) -> None:
        if self.limit is not None and not self._is_ticking:
            self._is_ticking = True
            self._guest.loop.call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        self._is_ticking = False
        if self.limit is None or self._is_counting:
            return  # the end of the count wakes
        self._free = self._free_bytes()
        if abs(self._free - self._free_moved) >= _SMALLEST_STEP:
            self._free_moved, self._moved_at = self._free, time.monotonic()
        is_due = self._is_due(self.limit)
        if is_due and time.monotonic() - self._counted_at >= self._pause():
            self._count()
        elif is_due or self._guest.is_busy:
            self._look_soon()
        elif self.is_full or members(self._guest.tags.taken(), 0):
            self._is_ticking = True
            self._guest.loop.call_later(_QUIET_TICK_S, self._tick)
        elif not self._is_settled:
            # Nothing runs any more: leave a true figure, once, whatever others go on writing.
            self._is_settled = True
            if abs(self._free_counted - self._free) >= _SMALLEST_STEP:
                self._is_stale = True
                self._look_soon()

    def _free_bytes(self) -> int:
        """Of the file systems of workspace and writable layer, which often are one."""
        figures = {disk_figures(folder)[:2] for folder in self.folders}
        return sum(free or 0 for free, _total in figures)

    def _is_due(self, limit: int) -> bool:
        if self._is_stale or self.used is None:
            return True
        steps = _STEPS if time.monotonic() - self._moved_at < _STILL_S else _STILL_STEPS
        step = max(min(limit // steps, limit - self.used), _SMALLEST_STEP)
        if abs(self._free_counted - self._free) >= step:
            return True
        since = time.monotonic() - self._counted_at
        return since >= max(_RECOUNT_S, _RECOUNT_FACTOR * self._took)

    def _pause(self) -> float:
        return min(_PAUSE_FACTOR * self._took, max(_MAX_PAUSE_S, 2 * self._took))

    def _count(self) -> None:
        self._is_counting = True
        self._is_stale = False
        self._began_at = time.monotonic()
        arguments = (self._guest, self._scratch, self._places, self._started_at)
        try:
            CountProcess(*arguments, self._counted)
        except OSError:
            self._counted({})

    def _counted(self, answer: dict[str, object]) -> None:
        """Of a count that failed nothing is known; the next one follows."""
        self._is_counting = False
        self._counted_at = time.monotonic()
        self._took = self._counted_at - self._began_at
        used, places, writers = (answer.get(name) for name in ("used", "places", "writers"))
        if isinstance(used, int) and isinstance(places, list) and isinstance(writers, list):
            if not answer.get("is_whole"):
                # What lies too deep to be counted is taken for all that went since.
                before = max(self.limit or 0, self.used or 0)
                used = max(used, before + self._free_counted - self._free)
            is_first = self.used is None
            self.used, self._places = used, places
            self._free_counted = self._free
            self._judge(used, self._suspects(writers), is_first=is_first)
        else:
            self._took = max(self._took, _TICK_S)
            self._is_stale = True
        self._look_soon()

    def _suspects(self, writers: list[list[int]]) -> set[int]:
        """Groups of the commands that wrote since the last count, as the kernel tells; else of
        those that hold a file open for writing; else of all."""
        before, self._written = self._written, {group: count for group, count, _ in writers}
        wrote = {group for group, count, _ in writers if count > before.get(group, 0)}
        is_again = time.monotonic() - self._stopped_at < _AGAIN_S
        if is_again:
            return set(self._written)
        return wrote or {group for group, _, is_open in writers if is_open} or set(self._written)

    def _judge(self, used: int, suspects: set[int], *, is_first: bool) -> None:
        """Stop who writes beyond the limit. A session over it may run commands, to delete
        something; one that makes it grow further is stopped as well."""
        if self.limit is None:
            return
        if used <= self.limit:
            self._allowed = self.limit
        elif is_first or self._allowed is None:
            # It was so when the container started, or is what those stopped had written.
            self._allowed = used
        elif used > self._allowed + (_SLACK if self._allowed > self.limit else 0):
            self._stop(suspects)
        else:
            self._allowed = min(self._allowed, used)

    def _stop(self, suspects: set[int]) -> None:
        self._stopped_at = time.monotonic()
        self._guest.stop_writers(suspects)
        # They got a little further until now: the next count tells how far.
        self._allowed = None
        self._is_stale = True
