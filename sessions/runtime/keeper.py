"""What every process of Berth does for as long as it lives, whether it runs agents or not.

It shows that it lives, keeps the sessions in use to which it has something open, and takes up the
shells that a process left which does not, and ends what programs ran that were connected to it.
"""

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from django.utils import timezone

from sessions import services
from sessions.models import Process, Session
from sessions.runtime.idleness import is_used
from sessions.runtime.leases import BEAT_S
from sessions.runtime.process import Runtime

logger = logging.getLogger(__name__)

FORGET_AFTER = dt.timedelta(days=7)
"""Long after everything that a dead process held was taken up."""


class Keeper:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def run(self) -> None:
        """Until it is cancelled; what fails is logged and done again."""
        while True:
            await _try(self.beat)
            await _try(self.keep_used)
            await _try(self._runtime.shells.resume)
            await _try(self._runtime.execs.resume)
            await asyncio.sleep(BEAT_S)

    async def beat(self) -> None:
        now = timezone.now()
        lease = self._runtime.sandboxes.lease
        if not await Process.objects.filter(lease=lease).aupdate(seen_at=now):
            await Process.objects.acreate(lease=lease, seen_at=now)
            await Process.objects.filter(seen_at__lt=now - FORGET_AFTER).adelete()

    async def keep_used(self) -> None:
        """Of what a person does here the reaper, which may be another process, sees nothing."""
        sandboxes, shells = self._runtime.sandboxes, self._runtime.shells
        used = [one for one in sandboxes.open_sessions() if is_used(sandboxes, shells, one)]
        async for session in Session.objects.filter(id__in=used):
            await services.session_touch(session=session)


async def _try(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:  # top of a task
        logger.exception("keeping what is held failed; it is tried again")


@contextlib.asynccontextmanager
async def kept(runtime: Runtime) -> AsyncIterator[None]:
    """Do so meanwhile. Shells are taken up before anything may suspend their sessions."""
    keeper = Keeper(runtime)
    await keeper.beat()
    await runtime.shells.resume()
    task = asyncio.create_task(keeper.run(), name="keeper")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
