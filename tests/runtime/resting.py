"""Sessions that nobody has used for a while."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

from django.utils import timezone

from sessions.models import Session
from sessions.runtime.process import Runtime

HOUR = dt.timedelta(hours=1)


async def idle(runtime: Runtime, session: Session, *, since: dt.timedelta = HOUR) -> Session:
    """The session with a container, its last activity so long ago."""
    await runtime.sandboxes.connect(session)
    await Session.objects.filter(id=session.id).aupdate(
        status="idle", last_active_at=timezone.now() - since
    )
    return await Session.objects.aget(id=session.id)


async def eventually(is_true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await is_true():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def state_of(session: Session) -> str:
    return (await Session.objects.aget(id=session.id)).container_state
