"""New sessions as a server begins them: row, log, pool, container and shell, to the first output.

No server runs beside it, whose supervisor would take up their turns: the rows that use this come
before those that start one.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator

from django.contrib.auth.models import User
from django.core.management import call_command

from sessions import services
from sessions.models import PooledContainer, Session
from sessions.runtime.archives import Archives
from sessions.runtime.pool import PoolConfig, PoolSize
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.channel import open_channel
from sessions.sandbox.limits import Limits
from tests.bench.bench import Bench
from tests.bench.sandboxes import IMAGE, LIMITS, backend, execute, timed_run

POOL_SIZE = 2
FLOOR = "docker run --rm IMAGE true"


class Starts:
    """Begins sessions of one owner, and removes what it began."""

    def __init__(self, sandboxes: Sandboxes, owner: User) -> None:
        self.sandboxes = sandboxes
        self.pool = sandboxes.pool
        self._owner = owner
        self._begun: list[Session] = []

    async def first_output(self, *, is_pooled: bool, limits: Limits = LIMITS) -> float:
        """Milliseconds from asking for the container of a session that exists, as when its turn is
        claimed. `is_pooled` is checked: whether its container waited in the pool."""
        session = await services.session_create(
            owner=self._owner,
            text=f"bench {uuid.uuid4().hex}",
            provider="scripted",
            model="scripted",
            image=IMAGE,
            limits=limits,
        )
        self._begun.append(session)
        waiting = {row.workspace_volume async for row in PooledContainer.objects.all()}
        start = time.perf_counter()
        sandbox = await self.sandboxes.connect(session)
        shell = await self.sandboxes.shell(session)
        _, output = await execute(sandbox, shell, "-c", "echo ready")
        took = (time.perf_counter() - start) * 1000
        assert output == b"ready\n"
        row = await Session.objects.aget(id=session.id)
        assert (row.workspace_volume in waiting) == is_pooled, row.workspace_volume
        return took

    async def forget(self) -> None:
        """Remove the sessions that were begun, so that the next begin on a machine like theirs."""
        for session in self._begun:
            row = await Session.objects.aget(id=session.id)
            await self.sandboxes.reclaim(row)
            await row.adelete()
        self._begun.clear()

    async def until_pool_is_full(self) -> None:
        ready = PooledContainer.objects.filter(ready_at__isnull=False)
        while await ready.acount() < POOL_SIZE:  # noqa: ASYNC110 - rows
            await asyncio.sleep(0.01)

    async def _clear(self) -> None:
        await self.sandboxes.close_channels()
        docker = self.sandboxes.backend
        for container in await docker.containers():
            await docker.remove(container.container_id)
        for volume in await docker.volumes():
            await docker.remove_volume(volume)
        await PooledContainer.objects.all().adelete()
        await docker.close()


@contextlib.asynccontextmanager
async def starts(bench: Bench) -> AsyncIterator[Starts]:
    assert not bench.has_server, "its supervisor would take the sessions up"
    await asyncio.to_thread(call_command, "migrate", verbosity=0)
    owner, _ = await User.objects.aget_or_create(username="bench")
    sandboxes = Sandboxes(
        backend(f"{bench.installation}-pool"),
        open_channel,
        archives=Archives(bench.var_dir / "archives"),
        pool=PoolConfig({IMAGE: PoolSize(POOL_SIZE)}, LIMITS),
    )
    begun = Starts(sandboxes, owner)
    try:
        yield begun
        await begun.forget()
    finally:
        await begun._clear()


async def docker_run() -> float:
    """Milliseconds of the floor of both rows."""
    run = ["docker", "run", "--rm", "--network", "none", "--log-driver", "none", IMAGE, "true"]
    return await asyncio.to_thread(timed_run, run)
