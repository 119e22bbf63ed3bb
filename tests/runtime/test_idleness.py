"""Idle containers are suspended, never one that works; old workspaces become archives."""

import asyncio
import dataclasses
import datetime as dt
import os
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from sessions import services
from sessions.errors import (
    ConflictError,
    EngineUnavailableError,
    InvalidInputError,
    SandboxError,
    SandboxUnavailableError,
)
from sessions.events import log
from sessions.events.types import ContainerState, SessionKept, ShellEnded
from sessions.models import ContainerState as State
from sessions.models import Session, Shell
from sessions.runtime.archives import Archives
from sessions.runtime.keeper import Keeper
from sessions.runtime.process import Runtime
from sessions.runtime.reaper import Reaper
from sessions.runtime.sandboxes import RESTORED, STARTED_AGAIN
from sessions.runtime.shell_live import LiveShell
from sessions.runtime.shells import Shells
from sessions.sandbox.base import ContainerSpec, ExecRequest, Sandbox, TerminalSize, Usage
from sessions.sandbox.channel import GuestChannel
from sessions.sandbox.limits import MIB, Limits
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
    async with asyncio.timeout(30):
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
    await Reaper(sandboxes, observe_s=0).suspend_idle()
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
    started = (await Log(session).of(ContainerState))[-1]
    assert (started.state, started.reason) == ("connected", STARTED_AGAIN)


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
    await Reaper(sandbox_runtime.sandboxes, observe_s=0).suspend_idle()
    assert await state_of(session) == "connected"


async def test_a_command_that_is_followed_keeps_its_container(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    session = await idle(sandbox_runtime, agent_session)
    sandbox = await sandbox_runtime.sandboxes.connect(session)
    command = await sandbox.exec(ExecRequest(exec_id="long", argv=("sleep", "60")))
    await Reaper(sandbox_runtime.sandboxes, observe_s=0).suspend_idle()
    assert await state_of(session) == "connected"
    assert (await Session.objects.aget(id=session.id)).last_active_at > session.last_active_at
    await command.stop()
    async for _ in command:
        pass
    await Session.objects.filter(id=session.id).aupdate(last_active_at=timezone.now() - HOUR)
    await Reaper(sandbox_runtime.sandboxes, observe_s=0).suspend_idle()
    assert await state_of(session) == "suspended"


async def kept_by(session: Session) -> list[str]:
    """What the log says keeps it, one entry for each change."""
    return [body.by for body in await Log(session).of(SessionKept)]


async def not_busy(sandbox: Sandbox, shell: Shell) -> bool:
    return not await sandbox.is_foreground_busy(shell.shell_id)


async def has_printed(live: LiveShell) -> bool:
    return live.ring.end > 0


async def test_a_shell_at_its_prompt_does_not_keep_it_but_what_runs_in_one_does(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    session = await idle(sandbox_runtime, agent_session)
    sandbox = await sandbox_runtime.sandboxes.connect(session)
    shells = sandbox_runtime.shells
    shell = await shells.open(session=session, user=alice, size=TerminalSize(80, 24))
    live = shells.live(shell)
    reaper = Reaper(sandbox_runtime.sandboxes, shells=shells, observe_s=0)
    await eventually(lambda: has_printed(live))  # its prompt: before it, keys end the shell
    await eventually(lambda: not_busy(sandbox, shell))

    live.typed.accept(0, b"sleep 60\n")
    await eventually(lambda: sandbox.is_foreground_busy(shell.shell_id))

    async def is_kept() -> bool:
        live.last_activity_at = timezone.now() - HOUR  # what was typed may be echoed late
        await reaper.suspend_idle()
        assert await state_of(session) == "connected"
        return await kept_by(session) == ["shell"]

    await eventually(is_kept)

    live.typed.accept(9, b"\x03")
    await eventually(lambda: not_busy(sandbox, shell))
    await Session.objects.filter(id=session.id).aupdate(last_active_at=timezone.now() - HOUR)
    live.last_activity_at = timezone.now() - HOUR
    await reaper.suspend_idle()
    row = await Session.objects.aget(id=session.id)
    assert row.container_state == "suspended"
    (ended,) = await Log(session).of(ShellEnded)
    assert "nobody used it" in ended.reason
    assert await kept_by(session) == ["shell", ""]


async def test_what_runs_in_a_shell_keeps_it_long_before_its_time_is_up_and_after_a_restart(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    session = await idle(sandbox_runtime, agent_session)
    sandboxes, shells = sandbox_runtime.sandboxes, sandbox_runtime.shells
    sandbox = await sandboxes.connect(session)
    shell = await shells.open(session=session, user=alice, size=TerminalSize(80, 24))
    await eventually(lambda: not_busy(sandbox, shell))
    shells.live(shell).typed.accept(0, b"sleep 60\n")
    await eventually(lambda: sandbox.is_foreground_busy(shell.shell_id))
    await log.append(session.id, [SessionKept("shell")])  # by the reaper of before
    await Session.objects.filter(id=session.id).aupdate(kept_by="shell")
    await shells.aclose()
    await sandboxes.close_channels()

    minutes_ago = timezone.now() - dt.timedelta(minutes=5)
    await Session.objects.filter(id=session.id).aupdate(last_active_at=minutes_ago)
    await Reaper(sandboxes, observe_s=0).suspend_idle()
    row = await Session.objects.aget(id=session.id)
    assert row.last_active_at > minutes_ago
    assert await kept_by(session) == ["shell"]


async def test_a_container_past_its_life_stays_while_a_program_runs_in_a_shell(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    sandbox = await sandbox_runtime.sandboxes.connect(agent_session)
    shells = sandbox_runtime.shells
    row = await shells.open(session=agent_session, user=alice, size=TerminalSize(80, 24))
    shells.live(row).typed.accept(0, b"sleep 3\n")
    await eventually(lambda: sandbox.is_foreground_busy(row.shell_id))
    long_ago = timezone.now() - dt.timedelta(hours=9)
    await Session.objects.filter(id=agent_session.id).aupdate(container_started_at=long_ago)
    reaper = Reaper(sandbox_runtime.sandboxes, shells=shells, observe_s=0)
    await reaper.expire()
    assert (await Session.objects.aget(id=agent_session.id)).container_state == "connected"

    async def rests() -> bool:
        await reaper.expire()
        found = await Session.objects.aget(id=agent_session.id)
        return found.container_state == "suspended"

    await eventually(rests)


async def test_something_that_begins_in_the_same_moment_wins(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    seen = await idle(sandbox_runtime, agent_session)
    await services.session_keep(session=seen)
    await sandbox_runtime.sandboxes.suspend(seen, "")
    assert await state_of(seen) == "connected"


async def test_a_turn_that_begins_while_shells_are_ended_wins(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    seen = await idle(sandbox_runtime, agent_session)
    channel = await sandboxes.connect(seen)
    container_id = sandboxes.container_id(seen)

    async def begin(_session_id: uuid.UUID, _reason: str) -> None:
        await Session.objects.filter(id=seen.id).aupdate(lease_owner="another:process")

    sandboxes.before_discard = begin
    await sandboxes.suspend(seen, "")
    assert await state_of(seen) == "connected"
    assert (await sandboxes.backend.inspect(container_id)).is_running
    assert await sandboxes.connect(seen) is channel


async def test_who_comes_while_it_is_suspended_gets_another_container(
    sandbox_runtime: Runtime, agent_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    seen = await idle(sandbox_runtime, agent_session)
    first = sandboxes.container_id(seen)
    coming: list[asyncio.Task[Sandbox]] = []
    remove = sandboxes.backend.remove

    async def meanwhile(container_id: str) -> None:
        coming.append(asyncio.create_task(sandboxes.connect(seen)))
        await asyncio.sleep(0.05)
        await remove(container_id)

    monkeypatch.setattr(sandboxes.backend, "remove", meanwhile)
    await sandboxes.suspend(seen, "")
    (sandbox,) = [await task for task in coming]
    assert sandboxes.container_id(seen) not in ("", first)
    assert await sandbox.list_dir("") is not None


async def test_what_another_process_suspended_is_not_used_by_a_turn(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    session = await idle(sandbox_runtime, agent_session)
    channel = await sandboxes.connect(session)
    await sandboxes.drop_stale(session)
    assert await sandboxes.connect(session) is channel
    # As another process's `suspend` leaves it, with the engine's removal still to come.
    await Session.objects.filter(id=session.id).aupdate(
        container_id="", container_state="suspended"
    )
    await sandboxes.drop_stale(session)
    assert await sandboxes.connect(session) is not channel


async def test_a_shell_is_not_ended_for_a_suspension_that_does_not_come(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    seen = await idle(sandbox_runtime, agent_session)
    shells = sandbox_runtime.shells
    shell = await shells.open(session=seen, user=alice, size=TerminalSize(80, 24))
    await services.session_keep(session=seen)
    await sandbox_runtime.sandboxes.suspend(seen, "")
    assert (await Shell.objects.aget(pk=shell.pk)).ended_at is None
    await sandbox_runtime.sandboxes.discard(seen, State.DISCONNECTED, "On purpose.")
    (ended,) = await Log(seen).of(ShellEnded)
    assert (ended.ending["kind"], ended.reason) == ("stopped", "On purpose.")


async def test_a_process_without_a_reaper_keeps_what_is_used_through_it(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    session = await idle(sandbox_runtime, agent_session)
    keeper = Keeper(sandbox_runtime)
    await keeper.keep_used()
    assert (await Session.objects.aget(id=session.id)).last_active_at == session.last_active_at
    shells = sandbox_runtime.shells
    shell = await shells.open(session=session, user=alice, size=TerminalSize(80, 24))
    shells.live(shell).typed.accept(0, b"echo on\n")
    await eventually(lambda: is_used_lately(shells, session))
    await Session.objects.filter(id=session.id).aupdate(last_active_at=timezone.now() - HOUR)
    await keeper.keep_used()
    row = await Session.objects.aget(id=session.id)
    assert timezone.now() - row.last_active_at < dt.timedelta(minutes=1)


async def is_used_lately(shells: Shells, session: Session) -> bool:
    return shells.is_busy(session.id, within_s=10)


async def test_one_container_that_does_not_answer_keeps_no_other(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    """And it goes itself when it stays silent; an engine that is away decides nothing."""
    sandboxes = sandbox_runtime.sandboxes
    silent = await idle(sandbox_runtime, agent_session)
    await sandboxes.close_channels()
    other = await services.session_create(
        owner=alice,
        text="Second",
        provider="scripted",
        model="scripted",
        image="berth/sandbox-slim",
        limits=Limits(),
    )
    await idle(sandbox_runtime, other)
    errors: list[SandboxError] = [EngineUnavailableError("away")] * 4
    errors += [SandboxUnavailableError("silent")] * 3
    reconnect = sandboxes.reconnect

    async def failing(session: Session, container_id: str) -> Sandbox:
        if session.id == silent.id and errors:
            raise errors.pop(0)
        return await reconnect(session, container_id)

    sandboxes.reconnect = failing  # type: ignore[method-assign]
    reaper = Reaper(sandboxes, observe_s=0)
    await reaper.suspend_idle()
    assert await state_of(other) == "suspended"
    for _ in range(5):
        assert await state_of(silent) == "connected"
        await reaper.suspend_idle()
    await reaper.suspend_idle()
    assert await state_of(silent) == "suspended"


async def test_a_container_taken_up_from_before_is_watched_before_it_is_said_to_rest(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    session = await idle(sandbox_runtime, agent_session)
    sandbox = await sandbox_runtime.sandboxes.connect(session)
    assert isinstance(sandbox, GuestChannel)
    used = 5.0

    async def usage(*, with_programs: bool = False) -> Usage:
        return dataclasses.replace(await GuestChannel.usage(sandbox), cpu_seconds=used, programs=1)

    sandbox.usage = usage  # type: ignore[method-assign]
    watching = Reaper(sandbox_runtime.sandboxes, observe_s=0.3)
    await watching.suspend_idle()
    assert await state_of(session) == "connected", "one look tells nothing"
    used = 6.0
    await asyncio.sleep(0.3)
    await watching.suspend_idle()
    row = await Session.objects.aget(id=session.id)
    assert timezone.now() - row.last_active_at < dt.timedelta(minutes=1), "it works"
    assert await kept_by(session) == ["program"]
    resting = Reaper(sandbox_runtime.sandboxes, observe_s=0.3)
    await Session.objects.filter(id=session.id).aupdate(last_active_at=timezone.now() - HOUR)
    await resting.suspend_idle()
    await asyncio.sleep(0.3)
    await resting.suspend_idle()
    assert await state_of(session) == "suspended"


async def test_what_a_container_uses_by_itself_is_no_program(
    sandbox_runtime: Runtime, agent_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after a turn it still counts its disk, and its start is fresh."""
    await idle(sandbox_runtime, agent_session)
    usage, looks = GuestChannel.usage, iter(range(1, 100))

    async def computing(channel: GuestChannel, *, with_programs: bool = False) -> Usage:
        counted = await usage(channel, with_programs=with_programs)
        return dataclasses.replace(counted, cpu_seconds=float(next(looks)))

    monkeypatch.setattr(GuestChannel, "usage", computing)
    reaper = Reaper(sandbox_runtime.sandboxes)
    for _ in range(2):
        await reaper.suspend_idle()
    assert await state_of(agent_session) == "suspended"


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
