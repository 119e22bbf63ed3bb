"""What begins while a container is suspended is not lost with it."""

import asyncio
import uuid

import pytest
from django.contrib.auth.models import User

from sessions import services
from sessions.events.types import ShellEnded
from sessions.models import ContainerState as State
from sessions.models import Session, Shell
from sessions.runtime.process import Runtime
from sessions.sandbox.base import Sandbox, TerminalSize
from tests.runtime.conftest import Log
from tests.runtime.resting import idle, state_of


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
