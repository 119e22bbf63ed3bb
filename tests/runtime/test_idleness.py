"""Idle containers are suspended, never one that works; old workspaces become archives."""

import asyncio
import datetime as dt
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from sessions import services
from sessions.errors import ConflictError, InvalidInputError, SandboxError
from sessions.events.types import ContainerState, ShellEnded
from sessions.models import ContainerState as State
from sessions.models import Session, Shell
from sessions.runtime.archives import Archives
from sessions.runtime.process import Runtime
from sessions.runtime.reaper import Reaper
from sessions.sandbox.base import ExecRequest, Sandbox, TerminalSize
from sessions.sandbox.limits import MIB
from tests.runtime.conftest import Log
from tests.sandbox.child_backend import ChildBackend

HOUR = dt.timedelta(hours=1)


async def idle(runtime: Runtime, session: Session, *, since: dt.timedelta = HOUR) -> Session:
    """The session with a container, its last activity so long ago."""
    await runtime.sandboxes.connect(session)
    await Session.objects.filter(id=session.id).aupdate(
        status="idle", last_active_at=timezone.now() - since
    )
    return await Session.objects.aget(id=session.id)


async def eventually(is_true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await is_true():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def state_of(session: Session) -> str:
    return (await Session.objects.aget(id=session.id)).container_state


async def test_an_idle_container_is_suspended_and_its_files_stay(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    session = await idle(sandbox_runtime, agent_session)
    await (await sandboxes.connect(session)).write_file("kept", b"here")
    await Reaper(sandboxes).suspend_idle()
    row = await Session.objects.aget(id=session.id)
    assert (row.container_state, row.container_id) == ("suspended", "")
    assert row.suspends_at is None
    assert await sandboxes.backend.containers() == []
    last = (await Log(session).of(ContainerState))[-1]
    assert last.state == "suspended"
    assert "Files are kept" in last.reason
    again = await sandboxes.connect(session)
    assert b"".join([piece async for piece in again.read_file("kept")]) == b"here"
    assert await state_of(session) == "connected"


@pytest.mark.parametrize("case", ["used lately", "never", "turn runs", "kept"])
async def test_a_container_that_is_not_idle_stays(
    sandbox_runtime: Runtime, agent_session: Session, case: str
) -> None:
    session = await idle(sandbox_runtime, agent_session)
    if case == "used lately":
        await services.session_touch(session=session)
    elif case == "never":
        await services.session_set_expiry(session=session, expires_after_s=0)
        await Session.objects.filter(id=session.id).aupdate(last_active_at=timezone.now() - HOUR)
    elif case == "turn runs":
        await session.turns.aupdate(status="running")
    else:
        await services.session_keep(session=session)
    await Reaper(sandbox_runtime.sandboxes).suspend_idle()
    assert await state_of(session) == "connected"


async def test_a_command_that_is_followed_keeps_its_container(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    session = await idle(sandbox_runtime, agent_session)
    sandbox = await sandbox_runtime.sandboxes.connect(session)
    command = await sandbox.exec(ExecRequest(exec_id="long", argv=("sleep", "60")))
    await Reaper(sandbox_runtime.sandboxes).suspend_idle()
    assert await state_of(session) == "connected"
    assert (await Session.objects.aget(id=session.id)).last_active_at > session.last_active_at
    await command.stop()
    async for _ in command:
        pass
    await Session.objects.filter(id=session.id).aupdate(last_active_at=timezone.now() - HOUR)
    await Reaper(sandbox_runtime.sandboxes).suspend_idle()
    assert await state_of(session) == "suspended"


async def not_busy(sandbox: Sandbox, shell: Shell) -> bool:
    return not await sandbox.is_foreground_busy(shell.shell_id)


async def test_a_shell_at_its_prompt_does_not_keep_it_but_what_runs_in_one_does(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    session = await idle(sandbox_runtime, agent_session)
    sandbox = await sandbox_runtime.sandboxes.connect(session)
    shells = sandbox_runtime.shells
    shell = await shells.open(session=session, user=alice, size=TerminalSize(80, 24))
    live = shells.live(shell)
    reaper = Reaper(sandbox_runtime.sandboxes, shells=shells)
    await eventually(lambda: not_busy(sandbox, shell))

    live.typed.accept(0, b"sleep 60\n")
    await eventually(lambda: sandbox.is_foreground_busy(shell.shell_id))
    live.last_activity_at = timezone.now() - HOUR
    await reaper.suspend_idle()
    assert await state_of(session) == "connected"

    live.typed.accept(9, b"\x03")
    await eventually(lambda: not_busy(sandbox, shell))
    await Session.objects.filter(id=session.id).aupdate(last_active_at=timezone.now() - HOUR)
    live.last_activity_at = timezone.now() - HOUR
    await reaper.suspend_idle()
    row = await Session.objects.aget(id=session.id)
    assert row.container_state == "suspended"
    (ended,) = await Log(session).of(ShellEnded)
    assert "suspended" in ended.reason


async def test_something_that_begins_in_the_same_moment_wins(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    seen = await idle(sandbox_runtime, agent_session)
    await services.session_keep(session=seen)
    await sandbox_runtime.sandboxes.discard(seen, State.SUSPENDED, "", even_if_busy=False)
    assert await state_of(seen) == "connected"


@pytest.mark.parametrize("seconds", [-1, 59, 31 * 24 * 3600])
async def test_only_sensible_times_are_taken(agent_session: Session, seconds: int) -> None:
    with pytest.raises(InvalidInputError):
        await services.session_set_expiry(session=agent_session, expires_after_s=seconds)


# Archives


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
