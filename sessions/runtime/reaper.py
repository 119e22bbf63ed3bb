"""Reclaims what no session needs: deleted sessions, idle containers, old workspaces, strays."""

import asyncio
import datetime as dt
import logging
import shutil
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from sessions import services
from sessions.errors import BerthError
from sessions.events import bus, log
from sessions.models import ContainerState, Session, Shell, Turn, TurnStatus
from sessions.runtime.reconcile import reconcile
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.shells import Shells
from sessions.sandbox.limits import Limits

logger = logging.getLogger(__name__)

RECONCILE_S = 60.0
LOOK_S = 5.0
"""Idle containers are looked for this often: a countdown that reached its end is believed."""
BUSY_SHARE = 0.01
"""Of one CPU: what runs on in the background and uses more keeps its container."""
ARCHIVE_RETRY_S = 3600.0


class Reaper:
    """`run` makes a pass at start, every minute, and soon after a session was deleted."""

    def __init__(
        self,
        sandboxes: Sandboxes,
        *,
        retention: dt.timedelta | None = None,
        shells: Shells | None = None,
    ) -> None:
        self._sandboxes = sandboxes
        self._shells = shells or Shells(sandboxes)
        self._retention = retention
        self._cpu: dict[uuid.UUID, tuple[float, float]] = {}
        """Of idle sessions: when they were looked at (monotonic), and CPU seconds until then."""
        self._archive_again_at: dict[uuid.UUID, float] = {}

    async def run(self) -> None:
        async with bus.listen(bus.SUPERVISOR_TOPIC) as waiter:
            reconciled_at = -RECONCILE_S
            while True:
                now = asyncio.get_running_loop().time()
                await self._try(self.reclaim_deleted)
                await self._try(self.suspend_idle)
                await self._try(self.archive_old)
                if now - reconciled_at >= RECONCILE_S:
                    reconciled_at = now
                    await self._try(self.expire)
                    await self._try(self.reconcile)
                    await self._try(services.file_uploads_expire)
                await waiter.wait(LOOK_S)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        """A pass that fails is logged and made again; it keeps no other from being made."""
        try:
            await work()
        except BerthError as error:
            logger.warning("reclaiming waits: %s", error.message)
        except Exception:
            logger.exception("a reclaiming pass failed")

    async def reconcile(self) -> None:
        """Raises: SandboxError."""
        await reconcile(self._sandboxes)

    async def reclaim_deleted(self) -> None:
        deleted = Session.objects.filter(deletion_requested_at__isnull=False)
        async for session in deleted.exclude(id__in=_running()):
            await self._try(partial(self._reclaim, session))

    async def _reclaim(self, session: Session) -> None:
        await self._sandboxes.reclaim(session)
        folder = services.upload_folder(session.id)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        while await log.forget_some(session.id):
            pass  # others write in between
        await session.adelete()

    async def suspend_idle(self) -> None:
        """Remove containers of which nobody made use for as long as their session says."""
        now = timezone.now()
        rows = Session.objects.filter(
            container_state=ContainerState.CONNECTED, deletion_requested_at=None
        )
        async for session in rows.exclude(id__in=_running()):
            at = session.suspends_at
            if at is None:
                self._cpu.pop(session.id, None)
            elif await self._works(session):
                await services.session_touch(session=session)
            elif at <= now:
                self._cpu.pop(session.id, None)
                await self._try(partial(self._suspend, session))

    async def _suspend(self, session: Session) -> None:
        await self._shells.end_all(session.id, "The session was suspended, as nobody used it.")
        await self._sandboxes.discard(
            session,
            ContainerState.SUSPENDED,
            "Suspended, as nobody used it. Files are kept; a message starts it again.",
            even_if_busy=False,
        )

    async def _works(self, session: Session) -> bool:
        """Whether something is under way that no turn stands for: a download, somebody who types
        in a shell, what runs in one, or a program left in the background that uses the CPU."""
        sandbox = self._sandboxes.channel_now(session.id)
        if sandbox is None:
            return False
        if sandbox.is_in_use or self._shells.is_busy(session.id, within_s=2 * LOOK_S):
            return True
        try:
            async for shell in Shell.objects.filter(session=session, ended_at=None):
                if await sandbox.is_foreground_busy(shell.shell_id):
                    return True
            used = (await sandbox.usage()).cpu_seconds
        except BerthError:
            return False
        if used is None:
            return False
        now = asyncio.get_running_loop().time()
        seen_at, before = self._cpu.setdefault(session.id, (now, used))
        if now - seen_at >= RECONCILE_S:
            self._cpu[session.id] = (now, used)
        return used - before > BUSY_SHARE * max(now - seen_at, RECONCILE_S)

    async def archive_old(self) -> None:
        """Archive workspaces that nobody has come back to."""
        if self._retention is None:
            return
        rows = Session.objects.filter(
            container_id="",
            archived_at=None,
            deletion_requested_at=None,
            last_active_at__lt=timezone.now() - self._retention,
        )
        now = asyncio.get_running_loop().time()
        async for session in rows.exclude(workspace_volume="").exclude(id__in=_waiting()):
            if self._archive_again_at.get(session.id, 0.0) <= now:
                self._archive_again_at[session.id] = now + ARCHIVE_RETRY_S
                await self._try(partial(self._sandboxes.archive, session))

    async def expire(self) -> None:
        """Remove idle containers that have lived as long as their session allows."""
        rows = Session.objects.filter(
            container_started_at__isnull=False, deletion_requested_at=None
        ).exclude(id__in=_running())
        async for session in rows:
            limits = Limits.from_json(session.limits)
            assert session.container_started_at is not None
            life = timezone.now() - session.container_started_at
            if life.total_seconds() >= limits.session_time_s:
                await self._sandboxes.discard(
                    session,
                    ContainerState.SUSPENDED,
                    "The session's time is used up. Files are kept; a message starts it again.",
                    even_if_busy=False,
                )


def _running() -> QuerySet[Turn, Any]:
    """Sessions with a running turn."""
    return Turn.objects.filter(status=TurnStatus.RUNNING).values("session")


def _waiting() -> QuerySet[Turn, Any]:
    unfinished = (TurnStatus.RUNNING, TurnStatus.QUEUED)
    return Turn.objects.filter(status__in=unfinished).values("session")
