"""How many processes were killed for memory, known without asking at each command's start.

Asking takes a third of a millisecond on cgroup v1, as much as a fork. So it is done shortly after
commands ended, when nobody waits for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.cgroup import Cgroup
    from sessions.sandbox.guest.loop import Loop

_DELAY_S = 0.05


class OomWatch:
    def __init__(self, loop: Loop, cgroup: Cgroup) -> None:
        self._loop = loop
        self._cgroup = cgroup
        self._is_due = False
        self.known = cgroup.oom_kills()
        """Kills until the last look; a command that starts now takes it as its beginning."""

    def look_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_later(_DELAY_S, self._look)

    def _look(self) -> None:
        self._is_due = False
        self.known = self._cgroup.oom_kills()
