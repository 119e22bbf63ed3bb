import asyncio
import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from sessions import services
from sessions.errors import SandboxError
from sessions.events.types import ContainerState, Output
from sessions.models import Event, Reclaimed, Session
from sessions.runtime.process import Runtime
from sessions.runtime.reaper import Reaper
from sessions.runtime.supervisor import Supervisor
from sessions.sandbox.base import ContainerSpec
from sessions.sandbox.limits import Limits
from tests.runtime.conftest import Log
from tests.runtime.test_turns import is_end, start


async def _gone(session: Session) -> bool:
    return not await Session.objects.filter(id=session.id).aexists()


async def test_a_deleted_session_takes_everything_with_it(
    supervisor: Supervisor, alice: User, sandbox_runtime: Runtime
) -> None:
    session = await start(alice, "```bash\necho on; sleep 300\n```")
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    await services.session_delete(session=session)
    for _ in range(200):
        if await _gone(session):
            break
        await asyncio.sleep(0.05)
    assert await _gone(session)
    backend = sandbox_runtime.sandboxes.backend
    assert await backend.containers() == []
    assert await backend.volumes() == {}
    assert not await Event.objects.aexists()


async def test_what_no_session_owns_is_removed_and_recorded(
    sandbox_runtime: Runtime, agent_session: Session, unknown_id
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    await sandboxes.connect(agent_session)
    await sandboxes.backend.create(
        ContainerSpec(str(unknown_id), "child", f"berth-ws-{unknown_id}", Limits())
    )
    await Reaper(sandboxes).reconcile()
    (left,) = await sandboxes.backend.containers()
    assert left.session_id == str(agent_session.id)
    assert list((await sandboxes.backend.volumes()).values()) == [str(agent_session.id)]
    kinds = [row.kind async for row in Reclaimed.objects.order_by("id")]
    assert kinds == ["container", "volume"]


async def test_a_container_given_up_while_the_engine_was_away_goes_later(
    sandbox_runtime: Runtime, agent_session: Session
) -> None:
    sandboxes = sandbox_runtime.sandboxes
    await (await sandboxes.connect(agent_session)).write_file("kept", b"here")
    await Session.objects.filter(id=agent_session.id).aupdate(container_state="disconnected")
    await agent_session.turns.aupdate(status="ended")
    await Reaper(sandboxes).reconcile()
    row = await Session.objects.aget(id=agent_session.id)
    assert (row.container_state, row.container_id) == ("suspended", "")
    assert await sandboxes.backend.containers() == []
    assert (await (await sandboxes.connect(row)).stat("kept")).size == 4


async def test_what_cannot_be_removed_keeps_nothing_else(
    sandbox_runtime: Runtime, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = sandbox_runtime.sandboxes.backend
    for number in range(3):
        await backend.create(
            ContainerSpec(f"stray-{number}", "child", f"berth-ws-{number}", Limits())
        )
    remove_volume = backend.remove_volume

    async def failing(name: str) -> None:
        if name == "berth-ws-0":
            raise SandboxError("The volume is in use.")
        await remove_volume(name)

    monkeypatch.setattr(backend, "remove_volume", failing)
    await Reaper(sandbox_runtime.sandboxes).reconcile()
    assert await backend.containers() == []
    assert list(await backend.volumes()) == ["berth-ws-0"]
    monkeypatch.undo()
    await Reaper(sandbox_runtime.sandboxes).reconcile()
    assert await backend.volumes() == {}


async def test_an_idle_container_past_its_time_goes_and_its_files_stay(
    supervisor: Supervisor, alice: User, sandbox_runtime: Runtime
) -> None:
    session = await start(alice, "```bash\necho kept > file\n```")
    await Log(session).wait_for(is_end)
    await Session.objects.filter(id=session.id).aupdate(
        container_started_at=timezone.now() - dt.timedelta(hours=9)
    )
    await Reaper(sandbox_runtime.sandboxes, observe_s=0).expire()
    row = await Session.objects.aget(id=session.id)
    assert (row.container_id, row.container_state) == ("", "suspended")
    assert await sandbox_runtime.sandboxes.backend.containers() == []
    assert (await Log(session).of(ContainerState))[-1].state == "suspended"

    sandbox = await sandbox_runtime.sandboxes.connect(row)
    assert b"".join([piece async for piece in sandbox.read_file("file")]) == b"kept\n"
