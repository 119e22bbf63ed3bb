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
from sessions.models import ApiResponse, ContainerState, Session, Turn, TurnStatus
from sessions.responses.settle import settle, settle_left_over
from sessions.runtime.idleness import OBSERVE_S, Idleness
from sessions.runtime.leases import is_holder_dead
from sessions.runtime.reconcile import reconcile
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.shells import Shells
from sessions.sandbox.limits import Limits

logger = logging.getLogger(__name__)

RECONCILE_S = 60.0
LOOK_S = 5.0
"""Idle containers are looked for this often: a countdown that reached its end is believed."""
ARCHIVE_RETRY_S = 3600.0
STARTS_AGAIN = "Files are kept; a message, a shell or a look at them starts it again."


class Reaper:
    """`run` makes a pass at start, every minute, and soon after a session was deleted."""

    def __init__(
        self,
        sandboxes: Sandboxes,
        *,
        shells: Shells | None = None,
        retention: dt.timedelta | None = None,
        observe_s: float = OBSERVE_S,
    ) -> None:
        self._sandboxes = sandboxes
        self._idleness = Idleness(sandboxes, shells or Shells(sandboxes), observe_s=observe_s)
        self._retention = retention
        self._archiving: asyncio.Task[None] | None = None
        self._archive_again_at: dict[uuid.UUID, float] = {}

    async def run(self) -> None:
        try:
            async with bus.listen(bus.SUPERVISOR_TOPIC) as waiter:
                reconciled_at = -RECONCILE_S
                while True:
                    now = asyncio.get_running_loop().time()
                    await self._try(self.reclaim_deleted)
                    await self._try(self.suspend_idle)
                    await self._try(stop_abandoned)
                    self._archive_beside()
                    if now - reconciled_at >= RECONCILE_S:
                        reconciled_at = now
                        await self._try(self.expire)
                        await self._try(self.reconcile)
                        await self._try(services.file_uploads_expire)
                        await self._try(services.stored_files_expire)
                        await self._try(settle_left_over)
                        await self._try(services.responses_expire)
                        await self._try(services.chats_expire)
                        await self._try(services.allowances_forget)
                    await waiter.wait(LOOK_S)
        finally:
            if self._archiving is not None:
                self._archiving.cancel()
                await asyncio.gather(self._archiving, return_exceptions=True)

    def _archive_beside(self) -> None:
        """A large workspace takes long, and nothing else may wait for it."""
        if self._archiving is None or self._archiving.done():
            self._archiving = asyncio.create_task(self._try(self.archive_old), name="archiving")

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
        async for response in ApiResponse.objects.filter(
            session=session, status__in=services.UNFINISHED
        ):
            await settle(response)  # from the log, while that is there
        while await log.forget_some(session.id):
            pass  # others write in between
        await session.adelete()

    async def suspend_idle(self) -> None:
        """Remove containers of which nobody made use for as long as their session says."""
        rows = Session.objects.filter(
            container_state=ContainerState.CONNECTED, deletion_requested_at=None
        )
        idle = [session async for session in rows.exclude(id__in=_running())]
        self._idleness.keep_only(session.id for session in idle)
        for session in idle:
            if session.suspends_at is not None:
                await self._try(partial(self._look_at, session))

    async def _look_at(self, session: Session) -> None:
        is_due = session.suspends_at is not None and session.suspends_at <= timezone.now()
        finding = await self._idleness.look(session, is_due=is_due)
        await self._idleness.tell(session, finding)
        if finding in ("used", "shell", "program"):
            await services.session_touch(session=session)
        elif is_due and finding == "rests":
            await self._sandboxes.suspend(session, f"Suspended, as nobody used it. {STARTS_AGAIN}")

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
        """Remove containers that have lived as long as their session allows, once nothing works in
        them any more."""
        rows = Session.objects.filter(
            container_started_at__isnull=False, deletion_requested_at=None
        ).exclude(id__in=_running())
        async for session in rows:
            limits = Limits.from_json(session.limits)
            assert session.container_started_at is not None
            life = timezone.now() - session.container_started_at
            if life.total_seconds() >= limits.session_time_s:
                await self._try(partial(self._expire, session))

    async def _expire(self, session: Session) -> None:
        if await self._idleness.look(session, is_due=True) != "rests":
            return  # looked at again with the next pass
        await self._sandboxes.suspend(session, f"The session's time is used up. {STARTS_AGAIN}")


def _running() -> QuerySet[Turn, Any]:
    """Sessions with a running turn."""
    return Turn.objects.filter(status=TurnStatus.RUNNING).values("session")


def _waiting() -> QuerySet[Turn, Any]:
    unfinished = (TurnStatus.RUNNING, TurnStatus.QUEUED)
    return Turn.objects.filter(status__in=unfinished).values("session")


async def stop_abandoned() -> None:
    """Responses whose program was connected to a process that died: nobody waits for them."""
    rows = ApiResponse.objects.filter(status__in=services.UNFINISHED).exclude(holder="")
    async for response in rows.defer("input", "output", "request"):
        if await is_holder_dead(response.holder, since=response.created_at):
            await services.response_stop(response=response)
