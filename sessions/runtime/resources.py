"""What a turn's container uses, once a second into the session's log, as far as it changes."""

import asyncio
import time
from dataclasses import dataclass

from sessions.agent.tools.base import Recorder
from sessions.errors import SandboxError
from sessions.events.types import Resources
from sessions.models import Session
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.base import Sandbox, Usage
from sessions.sandbox.limits import Limits

SAMPLE_S = 1.0
CLOSE_S = 60.0
"""For so long every noticeable change is recorded as it is seen, ..."""
SPARSE_S = 5.0
"""... later one in so many seconds: 8 hours of work make at most 5,820 events of 200 bytes."""
NOTICEABLE_CPU = 5.0
"""Percent of the limit, as for the next one."""
NOTICEABLE_SHARE = 1.0
NOTICEABLE_PIDS = 2
ASK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class _Sample:
    taken_at: float
    """Monotonic."""
    usage: Usage


class ResourceWatch:
    """Of one turn, or of the time between turns. `run` works until it is cancelled; `finish` then
    records where it ended.

    A channel that is not open is not opened: who only looks makes no container.
    """

    def __init__(
        self, *, session: Session, limits: Limits, sandboxes: Sandboxes, recorder: Recorder
    ) -> None:
        self._session = session
        self._limits = limits
        self._sandboxes = sandboxes
        self._recorder = recorder
        self._began_at = time.monotonic()
        self._last: _Sample | None = None
        self._looked: Resources | None = None
        self._recorded: Resources | None = None
        self._recorded_at = 0.0

    async def run(self) -> None:
        """Raises: as the recorder's `record`."""
        while True:
            figures = await self._look()
            before, self._looked = self._looked, figures
            if (
                figures is not None
                and self._is_due()
                and (
                    is_noticeable(self._recorded, figures)
                    or is_at_rest(self._recorded, before, figures)
                )
            ):
                await self._record(figures)
            await asyncio.sleep(SAMPLE_S)

    async def finish(self) -> None:
        """Raises: as the recorder's `record`."""
        figures = await self._look()
        if figures is not None and figures != self._recorded:
            await self._record(figures)

    def _is_due(self) -> bool:
        now = time.monotonic()
        pause = SAMPLE_S if now - self._began_at < CLOSE_S else SPARSE_S
        # A sleep may end a little early by this clock.
        return now - self._recorded_at >= pause - SAMPLE_S / 10

    async def _record(self, figures: Resources) -> None:
        self._recorded, self._recorded_at = figures, time.monotonic()
        await self._recorder.record(figures)

    async def _look(self) -> Resources | None:
        """None for the first look at a container: processor time needs two."""
        sandbox = self._sandboxes.channel_now(self._session.id)
        if sandbox is None:
            self._last = None
            return None
        before = self._last
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                self._last = _Sample(time.monotonic(), await self._ask(sandbox))
        except (SandboxError, TimeoutError):
            self._last = None
            return None
        return None if before is None else figures_of(before, self._last, self._limits)

    async def _ask(self, sandbox: Sandbox) -> Usage:
        usage = await sandbox.usage()
        if usage.disk_limit_bytes != self._limits.disk_bytes:
            # The container was started for no session yet, or the guest lost its limit.
            await sandbox.set_limits(disk_bytes=self._limits.disk_bytes)
            usage = await sandbox.usage()
        return usage


def figures_of(before: _Sample, after: _Sample, limits: Limits) -> Resources:
    """Processor time as percent of the limit, between two samples of one container."""
    usage = after.usage
    return Resources(
        cpu_percent=_cpu_percent(before, after, limits.cpus),
        memory_bytes=usage.memory_bytes,
        memory_limit_bytes=usage.memory_limit_bytes,
        memory_peak_bytes=usage.memory_peak_bytes,
        pids=usage.pids,
        pids_limit=usage.pids_limit,
        disk_used_bytes=usage.disk_used_bytes,
        disk_limit_bytes=usage.disk_limit_bytes,
    )


def _cpu_percent(before: _Sample, after: _Sample, cpus: float) -> float | None:
    began, ended = before.usage.cpu_seconds, after.usage.cpu_seconds
    elapsed = after.taken_at - before.taken_at
    if began is None or ended is None or ended < began or elapsed <= 0:
        return None  # the kernel is silent, or this is another container
    return round(min(100.0, (ended - began) / elapsed / cpus * 100), 1)


def is_noticeable(old: Resources | None, new: Resources) -> bool:
    """Whether a chart would show the difference."""
    if old is None:
        return True
    return (
        abs((new.cpu_percent or 0) - (old.cpu_percent or 0)) >= NOTICEABLE_CPU
        or abs((new.pids or 0) - (old.pids or 0)) >= NOTICEABLE_PIDS
        or _moved(old.memory_bytes, new.memory_bytes, new.memory_limit_bytes)
        or _moved(old.disk_used_bytes, new.disk_used_bytes, new.disk_limit_bytes)
        or new.disk_limit_bytes != old.disk_limit_bytes
    )


def is_at_rest(recorded: Resources | None, before: Resources | None, now: Resources) -> bool:
    """Whether what is counted stopped changing where nobody was told: small steps add up to a
    figure that is wrong for as long as nothing more happens."""
    if recorded is None or before is None:
        return False
    counted = (now.disk_used_bytes, now.pids)
    return counted == (before.disk_used_bytes, before.pids) and counted != (
        recorded.disk_used_bytes,
        recorded.pids,
    )


def _moved(old: int | None, new: int | None, limit: int | None) -> bool:
    if old is None or new is None or not limit:
        return old != new
    return abs(new - old) / limit * 100 >= NOTICEABLE_SHARE
