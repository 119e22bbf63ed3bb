"""Idle containers are suspended, never one that works."""

import asyncio
import dataclasses
import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from sessions import services
from sessions.errors import (
    EngineUnavailableError,
    InvalidInputError,
    SandboxError,
    SandboxUnavailableError,
)
from sessions.events import log
from sessions.events.types import ContainerState, SessionKept, ShellEnded
from sessions.models import Session, Shell
from sessions.runtime.keeper import Keeper
from sessions.runtime.process import Runtime
from sessions.runtime.reaper import Reaper
from sessions.runtime.sandboxes import STARTED_AGAIN
from sessions.runtime.shell_live import LiveShell
from sessions.runtime.shells import Shells
from sessions.sandbox.base import ExecRequest, Sandbox, TerminalSize, Usage
from sessions.sandbox.channel import GuestChannel
from sessions.sandbox.limits import Limits
from tests.runtime.conftest import Log
from tests.runtime.resting import HOUR, eventually, idle, state_of


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
