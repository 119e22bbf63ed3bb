"""A process that dies at any step of a container's life leaves nothing behind after one pass.

Every statement that writes to the database, every call to the engine, each part of making a
container and everything that is done to an archive's file is a step. The process "dies" before
step k, for every k: from then on nothing it does has an effect any more. Another process then
makes one pass.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import connection

from sessions import services
from sessions.models import ContainerState, PooledContainer, Session
from sessions.runtime import archives as archives_module
from sessions.runtime.archives import PART_SUFFIX, Archives
from sessions.runtime.leases import lease_name
from sessions.runtime.pool import PoolConfig, PoolSize
from sessions.runtime.reaper import Reaper
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.base import ContainerSpec, DuplexStream, Sandbox, SandboxBackend
from sessions.sandbox.channel import open_channel
from sessions.sandbox.limits import GIB, Limits
from tests.runtime.test_pool import session_of
from tests.sandbox.child_backend import ChildBackend, ChildGuest

pytestmark = pytest.mark.slow

DEAD_LEASE = lease_name().replace(f":{os.getpid()}:", f":{2**22 + 1}:", 1)
"""With a pid above the largest that Linux hands out."""
WRITES = ("INSERT", "UPDATE", "DELETE")
ENGINE_VERBS = ("open", "remove", "remove_volume", "set_limits")
FILE_STEPS = ("mkdir", "open", "_digest", "_settle", "unlink")
"""What the archives ask of the disk; `_settle` is the rename."""


class CrashError(BaseException):
    """No handler of the product catches it, as none survives SIGKILL."""


class Steps:
    """Counts steps; from number `crash_at` on none has an effect."""

    def __init__(self, crash_at: int | None) -> None:
        self.crash_at = crash_at
        self.count = 0
        self.names: list[str] = []

    @property
    def is_dead(self) -> bool:
        return self.crash_at is not None and self.count >= self.crash_at

    def step(self, name: str) -> None:
        if self.is_dead:
            raise CrashError(name)
        self.count += 1
        self.names.append(name)

    def on_statement(self, execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if sql.startswith(WRITES):
            self.step(sql.split('"')[0] + sql.split('"')[1])
        return execute(sql, params, many, context)

    def engine(self, backend: ChildBackend) -> SandboxBackend:
        steps = self

        class Stepped:
            async def create(self, spec: ContainerSpec) -> str:
                """As an engine does it: a volume, a container on it, and its start."""
                steps.step("create the volume")
                folder = backend._volume(spec)
                steps.step("create the container")
                child = backend._guests[spec.name] = ChildGuest(spec, folder)
                steps.step("start the container")
                await child.start()
                return spec.name

            def __getattr__(self, name: str) -> Any:
                verb = getattr(backend, name)
                if name not in ENGINE_VERBS:
                    return verb

                async def call(*arguments: Any) -> Any:
                    steps.step(name)
                    return await verb(*arguments)

                return call

        return Stepped()

    async def to_thread(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        name = getattr(work, "__name__", "")
        if name in FILE_STEPS:
            self.step(f"{name} a file")
        elif self.is_dead and name != "close":  # which the kernel does for the dead
            raise CrashError(name)
        return await asyncio.to_thread(work, *arguments, **named)


@dataclass(frozen=True)
class SteppedThreads:
    """In the place of asyncio where it is used for nothing but files."""

    steps: Steps

    @property
    def to_thread(self) -> Callable[..., Awaitable[Any]]:
        return self.steps.to_thread


@dataclass
class World:
    engine: ChildBackend
    archives: Archives
    owner: User
    pool_size: int = 0
    channels: list[Sandbox] = field(default_factory=list)
    """All that were opened: a process that dies lets go of its sockets."""

    async def open_channel(self, stream: DuplexStream) -> Sandbox:
        self.channels.append(await open_channel(stream))
        return self.channels[-1]

    async def close_channels(self) -> None:
        while self.channels:
            await self.channels.pop().close()

    def process(self, *, steps: Steps | None = None) -> Sandboxes:
        """Of a process that is dead to all others when it is given steps."""
        return Sandboxes(
            steps.engine(self.engine) if steps else self.engine,
            self.open_channel,
            archives=self.archives,
            pool=PoolConfig({"child": PoolSize(self.pool_size)} if self.pool_size else {}),
            lease=DEAD_LEASE if steps else "",
        )

    async def rested(self) -> Session:
        """A session with a file in its workspace and no container."""
        before = self.process()
        session = await session_of(self.owner)
        sandbox = await before.connect(session)
        await sandbox.write_file("kept", b"not to be lost")
        await before.discard(session, ContainerState.SUSPENDED, "")
        return await Session.objects.aget(id=session.id)


OTHER_LIMITS = Limits(pids=99, disk_bytes=2 * GIB)
"""Than those of the pool, some for the engine to enforce and some for the guest."""
Scenario = Callable[[World, Steps | None], Awaitable["tuple[Session, Awaitable[Any]]"]]


async def create(world: World, steps: Steps | None) -> tuple[Session, Awaitable[Any]]:
    session = await session_of(world.owner)
    return session, world.process(steps=steps).connect(session)


async def claim(world: World, steps: Steps | None) -> tuple[Session, Awaitable[Any]]:
    world.pool_size = 1
    dying = world.process(steps=steps)
    filler = world.process()
    await filler.pool.fill()
    await filler.close_channels()
    await PooledContainer.objects.aupdate(holder=dying.lease)
    session = await session_of(world.owner, OTHER_LIMITS)
    return session, dying.connect(session)


async def fill(world: World, steps: Steps | None) -> tuple[Session, Awaitable[Any]]:
    world.pool_size = 2
    return await session_of(world.owner), world.process(steps=steps).pool.fill()


async def suspend(world: World, steps: Steps | None) -> tuple[Session, Awaitable[Any]]:
    session = await world.rested()
    before = world.process()
    await before.connect(session)
    await before.close_channels()
    dying = world.process(steps=steps)
    rested = await Session.objects.aget(id=session.id)
    return session, dying.suspend(rested, "Nobody used it.")


async def resume(world: World, steps: Steps | None) -> tuple[Session, Awaitable[Any]]:
    session = await world.rested()
    return session, world.process(steps=steps).connect(session)


async def _lost(world: World, lose: Callable[[str], Awaitable[None]]) -> Session:
    """A session whose container went behind everybody's back, files and all else as they were."""
    session = await world.rested()
    before = world.process()
    await before.connect(session)
    await lose(before.container_id(session))
    await before.close_channels()
    return await Session.objects.aget(id=session.id)


async def replace(world: World, steps: Steps | None) -> tuple[Session, Awaitable[Any]]:
    session = await _lost(world, world.engine.remove)
    return session, world.process(steps=steps).connect(session)


async def replace_exited(world: World, steps: Steps | None) -> tuple[Session, Awaitable[Any]]:
    """The same while what ran in it is over, yet it is still there."""
    session = await _lost(world, lambda name: world.engine.guest(name).stop())
    return session, world.process(steps=steps).connect(session)


async def archive(world: World, steps: Steps | None) -> tuple[Session, Awaitable[Any]]:
    session = await world.rested()
    return session, world.process(steps=steps).archive(session)


async def restore(world: World, steps: Steps | None) -> tuple[Session, Awaitable[Any]]:
    session = await world.rested()
    await world.process().archive(session)
    session = await Session.objects.aget(id=session.id)
    assert session.archived_at is not None
    return session, world.process(steps=steps).connect(session)


async def delete(world: World, steps: Steps | None) -> tuple[Session, Awaitable[Any]]:
    session = await world.rested()
    before = world.process()
    await before.connect(session)
    await before.close_channels()
    await services.session_delete(session=session)
    return session, Reaper(world.process(steps=steps)).reclaim_deleted()


SCENARIOS = (
    create, claim, fill, suspend, resume, replace, replace_exited, archive, restore, delete
)  # fmt: skip


@pytest.fixture
async def world(tmp_path: Path, alice: User) -> AsyncIterator[World]:
    engine = ChildBackend()
    world = World(engine, Archives(tmp_path / "archives"), alice)
    yield world
    await world.close_channels()
    await engine.close()


@database_sync_to_async
def watch_statements(wrappers: list[Any]) -> None:
    """In the thread that all statements come from."""
    connection.execute_wrappers[:] = wrappers


async def run(world: World, scenario: Scenario, crash_at: int | None) -> tuple[Session, Steps]:
    """Up to the crash; the session, and the steps that were taken."""
    steps = Steps(crash_at)
    session, work = await scenario(world, steps)
    await watch_statements([steps.on_statement])
    vars(archives_module)["asyncio"] = SteppedThreads(steps)
    try:
        await work
    except CrashError:
        assert crash_at is not None
    finally:
        vars(archives_module)["asyncio"] = asyncio
        await watch_statements([])
        await world.close_channels()
    return session, steps


async def one_pass(world: World) -> Sandboxes:
    after = world.process()
    reaper = Reaper(after)
    await reaper.reclaim_deleted()
    await reaper.reconcile()
    await after.pool.fill()
    return after


async def clear(world: World) -> None:
    world.pool_size = 0
    await Session.objects.all().adelete()
    await PooledContainer.objects.all().adelete()
    await one_pass(world)
    await check_nothing_is_left(world)


async def check_limits(world: World, session: Session, sandbox: Sandbox) -> None:
    """What the session's container may use is what the session says, whoever made it."""
    row = await Session.objects.aget(id=session.id)
    limits = Limits.from_json(row.limits)
    enforced = world.engine.guest(row.container_id).spec.limits
    assert not limits.differ_in_engine(enforced), f"{enforced} instead of {limits}"
    assert (await sandbox.usage()).disk_limit_bytes == limits.disk_bytes


async def check_nothing_is_left(world: World) -> None:
    sessions = [row async for row in Session.objects.all()]
    pooled = [row async for row in PooledContainer.objects.all()]
    containers = {row.container_id for row in sessions} | {row.name for row in pooled}
    volumes = {row.workspace_volume for row in sessions}
    volumes |= {row.workspace_volume for row in pooled}
    assert {info.container_id for info in await world.engine.containers()} == containers - {""}
    assert set(await world.engine.volumes()) <= volumes - {""}
    archived = {world.archives.path(row.id) for row in sessions if row.archived_at}
    assert set(await world.archives.files()) == archived
    assert len(pooled) == world.pool_size
    assert all(row.ready_at for row in pooled)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_dying_at_any_step_leaves_nothing_behind(world: World, scenario: Scenario) -> None:
    _, whole = await run(world, scenario, None)
    assert whole.count >= 3, whole.names
    await clear(world)
    parts_left = 0
    for crash_at in range(whole.count):
        session, steps = await run(world, scenario, crash_at)
        assert steps.count == crash_at, "it did not come that far"
        left = await world.archives.files()
        parts_left += any(path.name.endswith(PART_SUFFIX) for path in left)
        after = await one_pass(world)
        try:
            await check_nothing_is_left(world)
            if scenario is delete:
                assert not await Session.objects.filter(id=session.id).aexists()
                continue
            sandbox = await after.connect(await Session.objects.aget(id=session.id))
            await check_limits(world, session, sandbox)
            if scenario not in (create, claim, fill):
                kept = b"".join([piece async for piece in sandbox.read_file("kept")])
                assert kept == b"not to be lost"
            await after.pool.fill()
            await check_nothing_is_left(world)
        except AssertionError as error:
            raise AssertionError(
                f"died before {whole.names[crash_at]!r}, step {crash_at} of {whole.names}: {error}"
            ) from error
        finally:
            await world.close_channels()
        await clear(world)
    assert bool(parts_left) == (scenario is archive), (
        "where an archive is written half of one is left"
    )
