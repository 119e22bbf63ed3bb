"""Whether something is under way in a container that no turn stands for."""

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from django.db.models import QuerySet

from sessions.errors import ContainerLostError, EngineUnavailableError, SandboxError
from sessions.events import bus, log
from sessions.events.types import SessionKept
from sessions.models import Session, Shell
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.shells import Shells
from sessions.sandbox.base import Sandbox

BUSY_SHARE = 0.01
"""Of one CPU: what runs on in the background and uses more is at work."""
OBSERVE_S = 10.0
"""A container's CPU is watched for at least so long before it is said to rest: after a restart of
Berth, or of the channel, what it used before is not known."""
WINDOW_S = 60.0
SILENT_LOOKS = 3
"""A container that does not answer so often in a row does no work that anybody could wait for."""

USED_WITHIN_S = 10.0

Finding: TypeAlias = Literal["used", "shell", "program", "rests", "unknown"]
"""The first three keep a session: somebody uses it, a program runs in a person's shell, or one in
the background uses the CPU."""


@dataclass(slots=True)
class _Cpu:
    """Monotonic seconds of the first look and of the one the window began with, and what the
    container had used by then."""

    first_at: float
    since: float
    seconds: float


def is_used(sandboxes: Sandboxes, shells: Shells, session_id: uuid.UUID) -> bool:
    """Whether something goes over this process's channel to it, or did in one of its terminals a
    moment ago."""
    sandbox = sandboxes.channel_now(session_id)
    if sandbox is None:
        return False
    return sandbox.is_in_use or shells.is_busy(session_id, within_s=USED_WITHIN_S)


class Idleness:
    """Looks at the containers of idle sessions, again and again."""

    def __init__(
        self, sandboxes: Sandboxes, shells: Shells, *, observe_s: float = OBSERVE_S
    ) -> None:
        self._sandboxes = sandboxes
        self._shells = shells
        self._observe_s = observe_s
        self._cpu: dict[uuid.UUID, _Cpu] = {}
        self._silent: dict[uuid.UUID, int] = {}

    def keep_only(self, session_ids: Iterable[uuid.UUID]) -> None:
        """Forget the others: whoever works in turns begins anew after them."""
        kept = set(session_ids)
        for seen in (self._cpu, self._silent):
            for session_id in seen.keys() - kept:
                del seen[session_id]

    async def look(self, session: Session, *, is_due: bool) -> Finding:
        """A download, somebody who types in a shell, what runs in one, or a program left in the
        background that uses the CPU. A channel is opened only for a session that has a shell, or
        whose time is up: what else one needs to know is known then early enough."""
        if is_used(self._sandboxes, self._shells, session.id):
            return "used"
        sandbox = self._sandboxes.channel_now(session.id)
        if sandbox is None and not is_due and not await _open_shells(session).aexists():
            return "unknown"
        try:
            if sandbox is None:
                sandbox = await self._sandboxes.reconnect(session, session.container_id)
            finding = await self._look(session, sandbox)
        except ContainerLostError:
            return "rests"
        except EngineUnavailableError:
            return "unknown"
        except SandboxError:
            return self._did_not_answer(session.id)
        self._silent.pop(session.id, None)
        return finding

    def _did_not_answer(self, session_id: uuid.UUID) -> Finding:
        self._silent[session_id] = self._silent.get(session_id, 0) + 1
        return "rests" if self._silent[session_id] >= SILENT_LOOKS else "unknown"

    async def _look(self, session: Session, sandbox: Sandbox) -> Finding:
        async for shell in _open_shells(session):
            if await sandbox.is_foreground_busy(shell.shell_id):
                return "shell"
        usage = await sandbox.usage(with_programs=True)
        used = usage.cpu_seconds
        if used is None:
            return "rests"
        now = asyncio.get_running_loop().time()
        if usage.programs == 0:
            # What it used until now was the guest's own.
            self._cpu[session.id] = _Cpu(now, now, used)
            return "rests"
        cpu = self._cpu.setdefault(session.id, _Cpu(now, now, used))
        elapsed, spent = now - cpu.since, used - cpu.seconds
        if elapsed >= WINDOW_S or spent < 0:  # less than before: another container
            cpu.since, cpu.seconds = now, used
        if spent > BUSY_SHARE * max(elapsed, OBSERVE_S):
            return "program"
        return "rests" if now - cpu.first_at >= self._observe_s else "unknown"

    async def tell(self, session: Session, finding: Finding) -> None:
        """Note in the log what keeps the session, when that has changed. Use is seen by whoever
        makes it, and comes and goes with every key."""
        if finding in ("used", "unknown"):
            return
        by = "" if finding == "rests" else finding
        if session.kept_by != by:
            await log.append(session.id, [SessionKept(by)])
            await Session.objects.filter(id=session.id).aupdate(kept_by=by)
            await bus.notify(bus.session_topic(session.id))


def _open_shells(session: Session) -> QuerySet[Shell]:
    return Shell.objects.filter(session=session, ended_at=None)
