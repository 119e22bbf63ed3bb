"""Reclaims what no session needs: deleted sessions, containers past their time, strays."""

import asyncio
import datetime as dt
import logging
import shutil
import uuid

from django.utils import timezone

from sessions import services
from sessions.errors import SandboxError
from sessions.events import bus
from sessions.models import ContainerState, Reclaimed, Session, Turn, TurnStatus
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.limits import Limits

logger = logging.getLogger(__name__)

RECONCILE_S = 60.0
STRAY_GRACE = dt.timedelta(minutes=2)
"""A container can be a moment older than the row that will name it."""


class Reaper:
    """`run` makes a pass at start, every minute, and soon after a session was deleted."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    async def run(self) -> None:
        async with bus.listen(bus.SUPERVISOR_TOPIC) as waiter:
            reconciled_at = -RECONCILE_S
            while True:
                now = asyncio.get_running_loop().time()
                try:
                    await self._reclaim_deleted()
                    if now - reconciled_at >= RECONCILE_S:
                        reconciled_at = now
                        await self.expire()
                        await self.reconcile()
                except SandboxError as error:
                    logger.warning("reclaiming waits: %s", error.message)
                except Exception:
                    logger.exception("a reclaiming pass failed")
                await waiter.wait(RECONCILE_S / 4)

    async def _reclaim_deleted(self) -> None:
        deleted = Session.objects.filter(deletion_requested_at__isnull=False)
        running = Turn.objects.filter(status=TurnStatus.RUNNING).values("session")
        async for session in deleted.exclude(id__in=running):
            await self._sandboxes.reclaim(session)
            await asyncio.to_thread(
                shutil.rmtree, services.upload_folder(session.id), ignore_errors=True
            )
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
                )

    async def reconcile(self) -> None:
        """Remove every container and workspace of ours that no session owns, and record it."""
        backend = self._sandboxes.backend
        sessions = {
            str(row.id): row
            async for row in Session.objects.only("id", "container_id", "created_at")
        }
        for container in await backend.containers():
            owner = sessions.get(container.session_id)
            if owner is None or await self._is_superseded(container.container_id, owner.id):
                await backend.remove(container.container_id)
                await self._record("container", container.container_id, container.session_id)
        for name, session_id in (await backend.volumes()).items():
            if session_id not in sessions:
                await backend.remove_volume(name)
                await self._record("volume", name, session_id)

    async def _is_superseded(self, container_id: str, session_id: uuid.UUID) -> bool:
        """True when the session has another container, and has had it for a while."""
        row = await Session.objects.filter(id=session_id).afirst()
        return (
            row is not None
            and bool(row.container_id)
            and row.container_id != container_id
            and row.container_started_at is not None
            and row.container_started_at < timezone.now() - STRAY_GRACE
        )

    async def _record(self, kind: str, name: str, session_id: str) -> None:
        reason = f"no session owns it (label {session_id or 'missing'})"[:200]
        await Reclaimed.objects.acreate(kind=kind, name=name[:200], reason=reason)
        logger.warning("removed the stray %s %s", kind, name)
