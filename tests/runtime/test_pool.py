"""Containers that wait for their session: given away once, never leaked, made again."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from typing_extensions import override

from sessions import services
from sessions.errors import EngineUnavailableError
from sessions.events.types import ContainerState
from sessions.models import PooledContainer, Session
from sessions.runtime.archives import Archives
from sessions.runtime.pool import PoolConfig, PoolSize
from sessions.runtime.reconcile import reconcile
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox import names
from sessions.sandbox.base import ContainerSpec, ExecEnded, ExecRequest, Sandbox
from sessions.sandbox.channel import open_channel
from sessions.sandbox.limits import MIB, Limits
from tests.runtime.conftest import Log
from tests.sandbox.child_backend import ChildBackend

LIMITS = Limits()


class Engine(ChildBackend):
    """Counts what is made, and refuses it when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.created: list[ContainerSpec] = []
        self.is_away = False
        self.image = "child@1"

    @override
    async def create(self, spec: ContainerSpec) -> str:
        if self.is_away:
            raise EngineUnavailableError("Away.")
        self.created.append(spec)
        return await super().create(spec)

    @override
    async def image_id(self, name: str) -> str:
        return self.image


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine()
    yield engine
    await engine.close()


@pytest.fixture
def archives(tmp_path: Path) -> Archives:
    return Archives(tmp_path / "archives")


def pooled(engine: Engine, archives: Archives, size: int, refill_after_s: float = 0) -> Sandboxes:
    config = PoolConfig({"child": PoolSize(size, refill_after_s)}, LIMITS)
    return Sandboxes(engine, open_channel, archives=archives, pool=config)


async def session_of(owner: User, limits: Limits = LIMITS) -> Session:
    return await services.session_create(
        owner=owner,
        text="Say hello",
        provider="scripted",
        model="scripted",
        image="child",
        limits=limits,
    )


async def runs(sandbox: Sandbox) -> bool:
    exec_ = await sandbox.exec(ExecRequest(exec_id=uuid.uuid4().hex, argv=("true",)))
    async for piece in exec_:
        if isinstance(piece, ExecEnded):
            return piece.ending.exit_code == 0
    return False


async def in_use(sandboxes: Sandboxes) -> set[str]:
    """Every container is a session's or the pool's, and everything they name is there."""
    engine = sandboxes.backend
    owners = [row.container_id async for row in Session.objects.exclude(container_id="")]
    owners += [row.name async for row in PooledContainer.objects.all()]
    assert len(owners) == len(set(owners)), "a container was given twice"
    assert {info.container_id for info in await engine.containers()} == set(owners)
    return set(owners)


async def test_a_session_takes_a_waiting_container_and_its_place_is_filled(
    engine: Engine, archives: Archives, alice: User
) -> None:
    sandboxes = pooled(engine, archives, 2)
    await sandboxes.pool.fill()
    waiting = {row.name async for row in PooledContainer.objects.all()}
    assert len(waiting) == 2
    session = await session_of(alice)
    assert await runs(await sandboxes.connect(session))
    row = await Session.objects.aget(id=session.id)
    assert row.container_id in waiting
    assert row.workspace_volume in await engine.volumes()
    assert [e.state for e in await Log(session).of(ContainerState)] == ["connected"]
    assert len(engine.created) == 2
    await sandboxes.pool.fill()
    assert len(engine.created) == 3
    assert len(await in_use(sandboxes)) == 3
    await sandboxes.close_channels()


@pytest.mark.slow
async def test_fifty_sessions_at_once_get_fifty_containers(
    engine: Engine, archives: Archives, alice: User
) -> None:
    """From two holders of the pool on one loop, each with a part of it; processes that race for
    the same ones are in test_pool_processes.py."""
    first, second = pooled(engine, archives, 6), pooled(engine, archives, 9)
    await first.pool.fill()
    await second.pool.fill()
    sessions = [await session_of(alice) for _ in range(50)]
    found = await asyncio.gather(
        *((first, second)[i % 2].connect(session) for i, session in enumerate(sessions))
    )
    assert all(await asyncio.gather(*map(runs, found)))
    assert await PooledContainer.objects.acount() == 0
    assert len(await in_use(first)) == 50
    assert len(engine.created) == 50
    await reconcile(first)
    assert len(await in_use(first)) == 50
    await first.close_channels()
    await second.close_channels()


async def test_limits_of_its_own_are_set_at_the_claim(
    engine: Engine, archives: Archives, alice: User
) -> None:
    sandboxes = pooled(engine, archives, 1)
    await sandboxes.pool.fill()
    session = await session_of(alice, Limits(memory_bytes=300 * MIB, pids=77))
    await sandboxes.connect(session)
    row = await Session.objects.aget(id=session.id)
    limits = engine.guest(row.container_id).spec.limits
    assert (limits.memory_bytes, limits.pids) == (300 * MIB, 77)
    await sandboxes.close_channels()


async def test_an_empty_pool_is_a_cold_start(
    engine: Engine, archives: Archives, alice: User
) -> None:
    sandboxes = pooled(engine, archives, 1)
    assert await runs(await sandboxes.connect(await session_of(alice)))
    assert [spec.session_id == names.POOL for spec in engine.created] == [False]
    await sandboxes.close_channels()


async def test_a_container_that_died_waiting_is_replaced(
    engine: Engine, archives: Archives, alice: User
) -> None:
    sandboxes = pooled(engine, archives, 1)
    await sandboxes.pool.fill()
    (member,) = [row async for row in PooledContainer.objects.all()]
    await engine.remove(member.name)
    session = await session_of(alice)
    assert await runs(await sandboxes.connect(session))
    assert len(await in_use(sandboxes)) == 1
    await sandboxes.pool.fill()
    assert len(await in_use(sandboxes)) == 2
    await sandboxes.close_channels()


async def test_the_next_process_takes_over_the_pool(
    engine: Engine, archives: Archives, alice: User
) -> None:
    first = pooled(engine, archives, 2)
    await first.pool.fill()
    waiting = {row.name async for row in PooledContainer.objects.all()}
    await first.close_channels()
    # A pid that is no process's.
    dead = first.lease.replace(first.lease.split(":")[1], str(2**22 + 1))
    await PooledContainer.objects.aupdate(holder=dead)
    second = pooled(engine, archives, 2)
    await second.pool.fill()
    assert {row.name async for row in PooledContainer.objects.all()} == waiting
    assert {row.holder async for row in PooledContainer.objects.all()} == {second.lease}
    assert await runs(await second.connect(await session_of(alice)))
    assert len(engine.created) == 2
    await second.close_channels()


@pytest.mark.parametrize("change", ["rebuilt", "smaller", "off"])
async def test_what_is_of_no_use_any_more_goes(
    engine: Engine, archives: Archives, alice: User, change: str
) -> None:
    sandboxes = pooled(engine, archives, 2)
    await sandboxes.pool.fill()
    before = await in_use(sandboxes)
    size = {"rebuilt": 2, "smaller": 1, "off": 0}[change]
    if change == "rebuilt":
        engine.image = "child@2"
    else:
        sandboxes.pool.config = PoolConfig({"child": PoolSize(size)} if size else {}, LIMITS)
    await sandboxes.pool.fill()
    after = await in_use(sandboxes)
    assert len(after) == size
    assert len(await engine.volumes()) == size
    assert bool(after & before) == (change == "smaller")
    await sandboxes.close_channels()


async def test_an_engine_that_is_away_leaves_no_row_behind(
    engine: Engine, archives: Archives, alice: User
) -> None:
    sandboxes = pooled(engine, archives, 2)
    engine.is_away = True
    with pytest.raises(EngineUnavailableError):
        await sandboxes.pool.fill()
    assert await PooledContainer.objects.acount() == 0
    engine.is_away = False
    await sandboxes.pool.fill()
    assert len(await in_use(sandboxes)) == 2
    await sandboxes.close_channels()


async def test_a_place_is_filled_no_sooner_than_configured(
    engine: Engine, archives: Archives, alice: User
) -> None:
    sandboxes = pooled(engine, archives, 1, refill_after_s=30)
    await sandboxes.pool.fill()
    await sandboxes.connect(await session_of(alice))
    assert 25 < await sandboxes.pool.fill() <= 30
    assert await PooledContainer.objects.acount() == 0
    await sandboxes.close_channels()


async def test_two_processes_that_start_one_session_share_its_container(
    engine: Engine, archives: Archives, alice: User
) -> None:
    first, second = pooled(engine, archives, 0), pooled(engine, archives, 0)
    session = await session_of(alice)
    found = await asyncio.gather(*(box.connect(session) for box in (first, second) * 3))
    assert all(await asyncio.gather(*map(runs, found)))
    assert len(engine.created) == 1
    assert len(await in_use(first)) == 1
    await first.close_channels()
    await second.close_channels()
