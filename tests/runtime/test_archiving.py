"""Old workspaces become archives, and come back as they were."""

import asyncio
import datetime as dt
import os
import uuid
from pathlib import Path

import pytest
from django.utils import timezone

from sessions import services
from sessions.errors import (
    ConflictError,
    SandboxError,
)
from sessions.events.types import ContainerState
from sessions.models import ContainerState as State
from sessions.models import Session
from sessions.runtime.archives import Archives
from sessions.runtime.process import Runtime
from sessions.runtime.reaper import Reaper
from sessions.runtime.sandboxes import RESTORED
from sessions.sandbox.base import ContainerSpec, Sandbox
from sessions.sandbox.limits import MIB, Limits
from tests.runtime.conftest import Log
from tests.runtime.resting import eventually, idle, state_of
from tests.sandbox.child_backend import ChildBackend


async def rested(runtime: Runtime, session: Session) -> Session:
    """Suspended, and untouched for 40 days."""
    session = await idle(runtime, session, since=dt.timedelta(days=40))
    await session.turns.aupdate(status="ended")
    await runtime.sandboxes.discard(session, State.SUSPENDED, "")
    return await Session.objects.aget(id=session.id)


def reaper_of(runtime: Runtime) -> Reaper:
    return Reaper(runtime.sandboxes, retention=dt.timedelta(days=30))


async def test_an_old_workspace_becomes_an_archive_and_comes_back_as_it_was(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    sandbox = await sandboxes.connect(agent_session)
    random = os.urandom(3 * MIB)
    await sandbox.write_file("deep/er/random.bin", random)
    await sandbox.write_file("caf\udce9 \n name", b"odd name")
    row = await Session.objects.aget(id=agent_session.id)
    assert isinstance(sandboxes.backend, ChildBackend)
    folder = sandboxes.backend.guest(row.container_id).workspace
    (folder / "link").symlink_to("/usr/bin/env")
    (folder / "empty").mkdir()
    (folder / "script").write_bytes(b"#!/bin/sh\n")
    (folder / "script").chmod(0o755)
    (folder / "locked").write_bytes(b"secret")
    (folder / "locked").chmod(0)
    session = await rested(sandbox_runtime, agent_session)

    await reaper_of(sandbox_runtime).archive_old()
    row = await Session.objects.aget(id=session.id)
    assert row.container_state == "expired"
    assert row.archived_at is not None
    path = sandboxes.archives.path(session.id)
    assert row.archive_bytes == path.stat().st_size > 3 * MIB
    assert await sandboxes.backend.volumes() == {}
    assert await sandboxes.backend.containers() == []

    back = await sandboxes.connect(row)
    assert (await Log(session).of(ContainerState))[-1].reason == RESTORED
    assert b"".join([piece async for piece in back.read_file("deep/er/random.bin")]) == random
    assert (await back.stat("caf\udce9 \n name")).size == 8
    assert (await back.stat("empty")).kind == "folder"
    assert (await back.stat("script")).mode & 0o777 == 0o755
    locked = await back.stat("locked")
    assert (locked.size, locked.mode & 0o777) == (6, 0)
    (link,) = [e for e in await back.list_dir("") if e.name == "link"]
    assert link.symlink_target == "/usr/bin/env"
    row = await Session.objects.aget(id=session.id)
    assert (row.container_state, row.archived_at) == ("connected", None)
    assert await sandboxes.archives.files() == []


async def test_a_young_workspace_or_one_with_a_message_waiting_is_left_alone(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    session = await rested(sandbox_runtime, agent_session)
    await session.turns.aupdate(status="queued")
    await reaper_of(sandbox_runtime).archive_old()
    await session.turns.aupdate(status="ended")
    await Reaper(sandbox_runtime.sandboxes).archive_old()  # retention is for ever
    await services.session_keep(session=session)
    await reaper_of(sandbox_runtime).archive_old()
    assert await sandbox_runtime.sandboxes.archives.files() == []
    assert len(await sandbox_runtime.sandboxes.backend.volumes()) == 1


async def test_an_archive_that_takes_long_keeps_nothing_else(
    sandbox_runtime: Runtime, agent_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    await rested(sandbox_runtime, agent_session)
    begun = asyncio.Event()

    async def endless(_session: Session) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(sandboxes, "archive", endless)
    monkeypatch.setattr("sessions.runtime.reaper.LOOK_S", 0.05)
    running = asyncio.create_task(reaper_of(sandbox_runtime).run())
    await asyncio.wait_for(begun.wait(), 10)
    await sandboxes.backend.create(
        ContainerSpec("stray", "berth/sandbox-slim", "stray", Limits(), name="berth-stray")
    )
    await Session.objects.filter(id=agent_session.id).aupdate(deletion_requested_at=timezone.now())
    await eventually(lambda: is_gone(agent_session))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def is_gone(session: Session) -> bool:
    return not await Session.objects.filter(id=session.id).aexists()


async def test_a_session_that_was_taken_up_while_it_was_archived_keeps_its_volume(
    sandbox_runtime: Runtime, agent_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    await (await sandboxes.connect(agent_session)).write_file("file", b"x" * MIB)
    session = await rested(sandbox_runtime, agent_session)
    write = sandboxes.archives.write

    async def taken_up_meanwhile(session_id: uuid.UUID, sandbox: Sandbox) -> int:
        size = await write(session_id, sandbox)
        await Session.objects.filter(id=session_id).aupdate(
            container_id="", container_state=State.SUSPENDED
        )
        return size

    monkeypatch.setattr(sandboxes.archives, "write", taken_up_meanwhile)
    with pytest.raises(ConflictError):
        await sandboxes.archive(session)
    row = await Session.objects.aget(id=session.id)
    assert (row.archived_at, row.workspace_volume) == (None, session.workspace_volume)
    assert list(await sandboxes.backend.volumes()) == [session.workspace_volume]
    assert (await (await sandboxes.connect(row)).stat("file")).size == MIB


async def test_what_is_in_use_is_not_archived(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    session = await rested(sandbox_runtime, agent_session)
    await sandbox_runtime.sandboxes.connect(session)
    with pytest.raises(ConflictError):
        await sandbox_runtime.sandboxes.archive(session)
    assert await state_of(session) == "connected"


async def test_an_archive_that_cannot_be_written_keeps_the_volume(
    sandbox_runtime: Runtime, agent_session: Session, tmp_path: Path
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    await (await sandboxes.connect(agent_session)).write_file("file", b"x" * MIB)
    session = await rested(sandbox_runtime, agent_session)
    (tmp_path / "in the way").write_bytes(b"")
    sandboxes.archives = Archives(tmp_path / "in the way")
    await reaper_of(sandbox_runtime).archive_old()
    row = await Session.objects.aget(id=session.id)
    assert (row.container_state, row.archived_at) == ("suspended", None)
    assert len(await sandboxes.backend.volumes()) == 1
    assert await sandboxes.backend.containers() == []


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
async def test_a_broken_archive_is_not_thrown_away(
    sandbox_runtime: Runtime, agent_session: Session, damage: str
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    await (await sandboxes.connect(agent_session)).write_file("file", os.urandom(MIB))
    session = await rested(sandbox_runtime, agent_session)
    await reaper_of(sandbox_runtime).archive_old()
    path = sandboxes.archives.path(session.id)
    whole = path.read_bytes()
    middle = len(whole) // 2
    broken = {"cut": whole[:middle], "changed": whole[:middle] + b"?" + whole[middle + 1 :]}
    path.unlink() if damage == "gone" else path.write_bytes(broken[damage])
    with pytest.raises(SandboxError, match="archive"):
        await sandboxes.connect(session)
    assert await state_of(session) == "expired"
    assert await sandboxes.backend.volumes() == {}
    path.write_bytes(whole)
    back = await sandboxes.connect(session)
    assert (await back.stat("file")).size == MIB
