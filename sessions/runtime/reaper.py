"""Reclaims what no session needs: deleted sessions, containers past their time, strays."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from functools import partial

from django.utils import timezone

from sessions import services
from sessions.errors import SandboxError
from sessions.events import bus, log
from sessions.models import ContainerState, Reclaimed, Session, Turn, TurnStatus
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.limits import Limits

logger = logging.getLogger(__name__)

RECONCILE_S = 60.0


class Reaper:
    """`run` makes a pass at start, every minute, and soon after a session was deleted."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes
        self._suspects: set[str] = set()

    async def run(self) -> None:
        async with bus.listen(bus.SUPERVISOR_TOPIC) as waiter:
            reconciled_at = -RECONCILE_S
            while True:
                now = asyncio.get_running_loop().time()
                await self._try(self.reclaim_deleted)
                if now - reconciled_at >= RECONCILE_S:
                    reconciled_at = now
                    await self._try(self.expire)
                    await self._try(self.reconcile)
                    await self._try(services.file_uploads_expire)
                await waiter.wait(RECONCILE_S / 4)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        """A pass that fails is logged and made again; it keeps no other from being made."""
        try:
            await work()
        except SandboxError as error:
            logger.warning("reclaiming waits: %s", error.message)
        except Exception:
            logger.exception("a reclaiming pass failed")

    async def reclaim_deleted(self) -> None:
        deleted = Session.objects.filter(deletion_requested_at__isnull=False)
        running = Turn.objects.filter(status=TurnStatus.RUNNING).values("session")
        async for session in deleted.exclude(id__in=running):
            await self._try(partial(self._reclaim, session))

    async def _reclaim(self, session: Session) -> None:
        await self._sandboxes.reclaim(session)
        folder = services.upload_folder(session.id)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        while await log.forget_some(session.id):
            pass  # others write in between
        await session.adelete()

    async def expire(self) -> None:
        """Remove idle containers that have lived as long as their session allows."""
        running = Turn.objects.filter(status=TurnStatus.RUNNING).values("session")
        rows = Session.objects.filter(
            container_started_at__isnull=False, deletion_requested_at=None
        ).exclude(id__in=running)
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

    async def reconcile(self) -> None:
        """Remove every container and workspace of ours that no session owns, and record it.

        What is there is listed before who owns it, so that something made meanwhile is never
        taken for a stray. A container of a session that names another one, or none, goes when it
        is met twice: it may be a moment older than the row that will name it.
        """
        backend = self._sandboxes.backend
        containers, volumes = await backend.containers(), await backend.volumes()
        owners = {
            str(row.id): row.container_id async for row in Session.objects.only("container_id")
        }
        suspects: set[str] = set()
        for container in containers:
            owned = owners.get(container.session_id)
            if owned == container.container_id:
                continue
            if owned is not None and container.container_id not in self._suspects:
                suspects.add(container.container_id)
                continue
            await backend.remove(container.container_id)
            await self._record("container", container.container_id, container.session_id)
        self._suspects = suspects
        for name, session_id in volumes.items():
            if session_id not in owners:
                await backend.remove_volume(name)
                await self._record("volume", name, session_id)

    async def _record(self, kind: str, name: str, session_id: str) -> None:
        reason = f"no session owns it (label {session_id or 'missing'})"[:200]
        await Reclaimed.objects.acreate(kind=kind, name=name[:200], reason=reason)
        logger.warning("removed the stray %s %s", kind, name)
