"""An engine that goes away, callers that leave, turns that cannot be carried on."""

import asyncio
import datetime as dt
import os
import signal
from collections.abc import AsyncIterator

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from typing_extensions import override

from sessions import services
from sessions.agent.tools import execution
from sessions.errors import EngineUnavailableError
from sessions.events.types import (
    CallEnded,
    CallStarted,
    Notice,
    Output,
    OutputDropped,
    TurnEnded,
    TurnStarted,
)
from sessions.models import Session, Turn, TurnStatus
from sessions.runtime import supervisor as supervisor_module
from sessions.runtime.leases import lease_name
from sessions.runtime.process import Runtime
from sessions.runtime.reaper import Reaper
from sessions.runtime.runner import Runner
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.supervisor import Supervisor
from sessions.sandbox import connection
from sessions.sandbox.base import ContainerInfo, ContainerSpec, DuplexStream
from sessions.sandbox.channel import open_channel
from sessions.sandbox.limits import MIB, Limits
from tests.runtime.conftest import Log
from tests.runtime.test_restart import _another, _end, _run
from tests.runtime.test_turns import is_end, is_end_of, output_of, start
from tests.sandbox.child_backend import ChildBackend

pytestmark = pytest.mark.slow


class Away(ChildBackend):
    """An engine that can go away, and can be slow to create."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.create_s = 0.0
        self.opened: list[str] = []
        """Containers to which a channel was opened, each time."""

    def _ask(self) -> None:
        if self.is_away:
            raise EngineUnavailableError("The Docker engine does not answer.")

    @override
    async def create(self, spec: ContainerSpec) -> str:
        self._ask()
        await asyncio.sleep(self.create_s)
        return await super().create(spec)

    @override
    async def open(self, container_id: str) -> DuplexStream:
        self._ask()
        self.opened.append(container_id)
        return await super().open(container_id)

    @override
    async def inspect(self, container_id: str) -> ContainerInfo:
        self._ask()
        return await super().inspect(container_id)

    @override
    async def remove(self, container_id: str) -> None:
        self._ask()
        await super().remove(container_id)


@pytest.fixture
def engine(sandbox_runtime: Runtime) -> Away:
    engine = Away()
    sandbox_runtime.sandboxes = Sandboxes(
        engine, open_channel, archives=sandbox_runtime.sandboxes.archives
    )
    return engine


async def test_a_task_waits_for_an_engine_that_is_away(
    engine: Away, supervisor: Supervisor, alice: User
) -> None:
    engine.is_away = True
    session = await start(alice, "```bash\necho at last\n```\n```bash\necho as well\n```")
    await Log(session).wait_for(lambda b: isinstance(b, Notice) and "does not answer" in b.text)
    await asyncio.sleep(0.5)
    engine.is_away = False
    end = await Log(session).wait_for(is_end)
    assert end.reason == "completed"
    assert len(await Log(session).of(Notice)) == 1
    assert (await Log(session).of(CallEnded))[0].ending == {"kind": "exit", "exit_code": 0}


async def test_stop_ends_the_wait_for_an_engine(
    engine: Away, supervisor: Supervisor, alice: User
) -> None:
    engine.is_away = True
    session = await start(alice, "```bash\necho never\n```")
    await Log(session).wait_for(lambda b: isinstance(b, Notice))
    await services.turn_stop(session=session)
    assert (await Log(session).wait_for(is_end)).reason == "stopped"
    assert await Log(session).of(CallStarted) == []


async def test_a_command_stopped_while_its_engine_was_away_does_not_go_on(
    engine: Away, supervisor: Supervisor, alice: User, sandbox_runtime: Runtime
) -> None:
    session = await start(alice, "```bash\necho one; sleep 4; echo two > late\n```")
    await Log(session).wait_for(lambda b: isinstance(b, Output))
    engine.is_away = True
    await sandbox_runtime.sandboxes.close_channels()
    await services.turn_stop(session=session)
    assert (await Log(session).wait_for(is_end)).reason == "stopped"
    (ended,) = await Log(session).of(CallEnded)
    assert ended.ending["kind"] == "stopped"
    engine.is_away = False
    await services.turn_submit(session=session, text="```bash\nsleep 4; cat late\n```")
    await Log(session).wait_for(is_end_of(2))
    assert (await Log(session).of(CallEnded))[-1].ending == {"kind": "exit", "exit_code": 1}
    assert len(await engine.containers()) == 1


async def test_a_running_command_outlasts_its_engine(
    engine: Away, supervisor: Supervisor, alice: User, sandbox_runtime: Runtime
) -> None:
    session = await start(alice, "```bash\necho one; sleep 2; echo two\n```")
    await Log(session).wait_for(lambda b: isinstance(b, Output))
    engine.is_away = True
    await sandbox_runtime.sandboxes.close_channels()
    await asyncio.sleep(3)
    engine.is_away = False
    await Log(session).wait_for(is_end)
    assert b"".join(o.content for o in await Log(session).of(Output)) == b"one\ntwo\n"
    assert len(await Log(session).of(CallStarted)) == 1


async def test_a_command_that_ended_while_all_stood_still_is_not_timed_out(
    engine: Away, supervisor: Supervisor, alice: User
) -> None:
    session = await start(
        alice, "```bash\necho one; sleep 0.5; echo two\n```", Limits(command_timeout_s=1.5)
    )
    await Log(session).wait_for(lambda b: isinstance(b, Output))
    (container,) = await engine.containers()
    guest = engine.guest(container.container_id).process
    assert guest is not None
    guest.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2)
    guest.send_signal(signal.SIGCONT)
    await Log(session).wait_for(is_end)
    (ended,) = await Log(session).of(CallEnded)
    assert ended.ending == {"kind": "exit", "exit_code": 0}
    assert await output_of(session) == b"one\ntwo\n"


async def test_a_command_that_is_silent_for_long_is_not_cut(
    engine: Away, supervisor: Supervisor, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a channel may be silent: both ends show that they are there meanwhile."""
    monkeypatch.setattr(connection, "PING_INTERVAL_S", 0.2)
    monkeypatch.setattr(connection, "SILENCE_S", 1.0)
    session = await start(alice, "```bash\necho one; sleep 4; echo two\n```")
    await Log(session).wait_for(lambda b: isinstance(b, Output))
    (opened,) = engine.opened
    await Log(session).wait_for(is_end)
    (ended,) = await Log(session).of(CallEnded)
    assert ended.ending == {"kind": "exit", "exit_code": 0}
    assert await output_of(session) == b"one\ntwo\n"
    assert engine.opened == [opened], "over the channel it began with"


async def test_a_container_whose_caller_left_is_used_by_the_next(
    engine: Away, sandbox_runtime: Runtime, agent_session: Session
) -> None:
    engine.create_s = 0.5
    sandboxes = sandbox_runtime.sandboxes
    leaving = asyncio.create_task(sandboxes.connect(agent_session))
    await asyncio.sleep(0.1)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert (await sandboxes.connect(agent_session)).is_open
    (only,) = await engine.containers()
    row = await Session.objects.aget(id=agent_session.id)
    assert (row.container_id, row.container_state) == (only.container_id, "connected")


async def test_a_stray_of_a_living_session_is_removed_and_its_own_is_not(
    engine: Away, sandbox_runtime: Runtime, agent_session: Session
) -> None:
    await sandbox_runtime.sandboxes.connect(agent_session)
    row = await Session.objects.aget(id=agent_session.id)
    await engine.create(ContainerSpec(str(row.id), "child", row.workspace_volume, Limits()))
    await Reaper(sandbox_runtime.sandboxes).reconcile()
    assert [c.container_id for c in await engine.containers()] == [row.container_id]
    assert list(await engine.volumes()) == [row.workspace_volume]


async def test_one_session_that_cannot_be_reclaimed_holds_up_no_other(
    engine: Away, sandbox_runtime: Runtime, alice: User, agent_session: Session
) -> None:
    other = await start(alice, "second")
    for session in (agent_session, other):
        await sandbox_runtime.sandboxes.connect(session)
        await services.session_delete(session=session)
    stubborn = await Session.objects.aget(id=agent_session.id)
    remove = engine.remove

    async def refuse(container_id: str) -> None:
        if container_id == stubborn.container_id:
            raise EngineUnavailableError("The container cannot be removed.")
        await remove(container_id)

    engine.remove = refuse  # type: ignore[method-assign]  # one container is stuck
    await Reaper(sandbox_runtime.sandboxes).reclaim_deleted()
    engine.remove = remove  # type: ignore[method-assign]
    assert [row.id async for row in Session.objects.all()] == [stubborn.id]


async def through_a_restart(runtime: Runtime, session: Session, *, printed: int) -> TurnEnded:
    """Another process goes on a second after so many bytes were stored."""
    first = await _run(_another(runtime))
    await Log(session).wait_for(lambda b: isinstance(b, Output) and b.offset > printed)
    await asyncio.sleep(1)
    await _end(first)
    second = await _run(_another(runtime))
    end: TurnEnded = await Log(session).wait_for(is_end, 60)
    await _end(second)
    return end


async def test_a_restart_past_the_output_cap_goes_on_with_the_command(
    sandbox_runtime: Runtime, alice: User
) -> None:
    limits = Limits(max_output_bytes=1 * MIB)
    command = "head -c 12000000 /dev/zero | tr '\\\\0' x; sleep 3; echo end; echo ran >> ran"
    session = await start(alice, f"```bash\n{command}\n```\n---\n```bash\ncat ran\n```", limits)
    end = await through_a_restart(sandbox_runtime, session, printed=500_000)
    flood = (await Log(session).of(CallStarted))[0].call_id
    (ended, _) = await Log(session).of(CallEnded)
    stored = sum(len(o.content) for o in await Log(session).of(Output) if o.call_id == flood)
    dropped = sum(d.length for d in await Log(session).of(OutputDropped))
    assert (end.reason, ended.ending) == ("completed", {"kind": "exit", "exit_code": 0})
    assert stored + dropped == ended.stdout_bytes == 12_000_004
    assert (await Log(session).of(Output))[-1].content == b"ran\n"


async def test_a_restart_below_the_output_cap_drops_nothing(
    sandbox_runtime: Runtime, alice: User
) -> None:
    limits = Limits(max_output_bytes=1 * MIB)
    size = 1_040_000
    command = f"head -c {size} /dev/zero | tr '\\0' x; sleep 3; printf end"
    session = await start(alice, f"```bash\n{command}\n```", limits)
    end = await through_a_restart(sandbox_runtime, session, printed=800_000)
    assert end.duration_ms > 3000, "the time before the restart counts as well"
    assert await Log(session).of(OutputDropped) == []
    assert sum(len(o.content) for o in await Log(session).of(Output)) == size + 3


async def test_a_turn_that_fails_again_and_again_is_given_up(
    sandbox_runtime: Runtime, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(supervisor_module, "POLL_S", 0.05)

    async def broken(self: Runner, *, resumed_as: str = "") -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Runner, "run", broken)
    session = await start(alice, "hello")
    task = await _run(_another(sandbox_runtime))
    end = await Log(session).wait_for(is_end)
    await _end(task)
    assert (end.reason, end.message) == (
        "failed",
        "The turn failed again and again and was given up.",
    )
    assert (await Turn.objects.aget(session=session)).status == TurnStatus.ENDED


class Cut(ChildBackend):
    """An engine that dies while channels are opened: their streams end before the greeting."""

    cuts = 0

    @override
    async def open(self, container_id: str) -> DuplexStream:
        stream = await super().open(container_id)
        if self.cuts:
            self.cuts -= 1
            await stream.close()
        return stream


@pytest.fixture
async def cut_engine() -> AsyncIterator[Cut]:
    engine = Cut()
    yield engine
    await engine.close()


@pytest.fixture
async def cut_runtime(sandbox_runtime: Runtime, cut_engine: Cut) -> AsyncIterator[Runtime]:
    """Works off turns over the `cut_engine`."""
    runtime = _another(sandbox_runtime)
    runtime.sandboxes = Sandboxes(
        cut_engine, open_channel, archives=sandbox_runtime.sandboxes.archives
    )
    task = await _run(runtime)
    yield runtime
    await _end(task)


async def test_a_command_whose_container_answers_late_is_not_given_up(
    cut_runtime: Runtime, cut_engine: Cut, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "ATTACH_WAIT_S", 0.01)
    session = await start(alice, "```bash\necho one; sleep 1; echo two\n```")
    await Log(session).wait_for(lambda b: isinstance(b, Output))
    cut_engine.cuts = 30
    await cut_runtime.sandboxes.close_channels()
    await Log(session).wait_for(is_end, 30)
    assert cut_engine.cuts == 0
    assert await output_of(session) == b"one\ntwo\n"
    assert len(await cut_engine.containers()) == 1


async def test_a_command_that_is_given_up_does_not_go_on(
    cut_runtime: Runtime, cut_engine: Cut, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "ATTACH_WAIT_S", 0.01)
    monkeypatch.setattr(execution, "UNANSWERED_S", 0.1)
    session = await start(alice, "```bash\necho one; sleep 2; echo two > late\n```")
    await Log(session).wait_for(lambda b: isinstance(b, Output))
    lost = (await Session.objects.aget(id=session.id)).container_id
    cut_engine.cuts = 1_000
    await cut_runtime.sandboxes.close_channels()
    (ended,) = [await Log(session).wait_for(lambda b: isinstance(b, CallEnded))]
    cut_engine.cuts = 0
    assert ended.ending == {"kind": "container_lost"}
    assert lost not in [one.container_id for one in await cut_engine.containers()]
    await Log(session).wait_for(is_end, 30)
    await services.turn_submit(session=session, text="```bash\nsleep 2; cat late\n```")
    await Log(session).wait_for(is_end_of(2), 30)
    assert (await Log(session).of(CallEnded))[-1].ending == {"kind": "exit", "exit_code": 1}


async def test_a_container_made_while_reconcile_looks_is_left_alone(
    engine: Away,
    sandbox_runtime: Runtime,
    agent_session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    list_volumes = engine.volumes

    async def made_meanwhile() -> dict[str, str]:
        """Between the list of containers and that of the rows."""
        await sandbox_runtime.sandboxes.connect(agent_session)
        return await list_volumes()

    monkeypatch.setattr(engine, "volumes", made_meanwhile)
    await Reaper(sandbox_runtime.sandboxes).reconcile()
    row = await Session.objects.aget(id=agent_session.id)
    assert [one.container_id for one in await engine.containers()] == [row.container_id]


@pytest.mark.parametrize("is_first_turn", [True, False])
async def test_a_channel_that_breaks_while_it_opens_does_not_fail_the_turn(
    cut_runtime: Runtime, cut_engine: Cut, alice: User, *, is_first_turn: bool
) -> None:
    engine = cut_engine
    if is_first_turn:
        engine.cuts = 5
    session = await start(alice, "```bash\necho one > file\n```")
    await Log(session).wait_for(is_end, 30)
    if not is_first_turn:
        await cut_runtime.sandboxes.close_channels()
        engine.cuts = 5
    await services.turn_submit(session=session, text="```bash\ncat file\n```")
    await Log(session).wait_for(is_end_of(2), 30)
    ends = await Log(session).of(TurnEnded)
    assert [(end.reason, end.message) for end in ends] == [("completed", "")] * 2
    assert await output_of(session) == b"one\n"
    assert len(await engine.containers()) == 1


async def test_a_turn_that_its_runner_ended_meanwhile_is_not_ended_again(
    sandbox_runtime: Runtime, alice: User
) -> None:
    """Another supervisor reads the running turns just before this one's runner lets go."""
    session = await start(alice, "```bash\nsleep 1\n```")
    first = await _run(sandbox_runtime)
    await Log(session).wait_for(lambda body: isinstance(body, CallStarted))
    seen_running = await Turn.objects.select_related("session").aget(session=session)
    await Log(session).wait_for(is_end)
    late = Supervisor(_another(sandbox_runtime), max_running_turns=4)
    assert await late._take_lease(seen_running.session)
    await late._carry_on(seen_running)
    await asyncio.sleep(0.5)
    await _end(first)
    assert len(await Log(session).of(TurnEnded)) == 1
    assert (await Session.objects.aget(id=session.id)).lease_owner == ""
    await late.aclose()


DEAD_HOLDER = lease_name().replace(f":{os.getpid()}:", f":{2**22 + 1}:", 1)
"""Names a process of this host that cannot be: pids end below."""


async def test_a_turn_whose_runner_died_before_its_first_word_is_run(
    sandbox_runtime: Runtime, alice: User
) -> None:
    """Claimed in the database, and nothing of it in the log yet."""
    session = await start(alice, "```bash\necho ran\n```")
    await Turn.objects.filter(session=session).aupdate(
        status=TurnStatus.RUNNING, started_at=timezone.now()
    )
    await _hold(session, DEAD_HOLDER)
    task = await _run(sandbox_runtime)
    await Log(session).wait_for(is_end)
    await _end(task)
    assert await output_of(session) == b"ran\n"
    assert [begun.turn for begun in await Log(session).of(TurnStarted)] == [1]


async def test_a_queued_turn_does_not_wait_for_the_lease_of_a_dead_process(
    sandbox_runtime: Runtime, alice: User
) -> None:
    session = await start(alice, "```bash\necho ran\n```")
    await _hold(session, DEAD_HOLDER)
    task = await _run(sandbox_runtime)
    await Log(session).wait_for(is_end, supervisor_module.LEASE_S / 2)
    await _end(task)
    assert await output_of(session) == b"ran\n"


async def _hold(session: Session, lease: str) -> None:
    await Session.objects.filter(id=session.id).aupdate(
        lease_owner=lease, lease_until=timezone.now() + dt.timedelta(hours=1)
    )


class JustTooEarly(Supervisor):
    """Asks for a lease a moment before it runs out."""

    asked = 0

    @override
    async def _take_lease(self, session: Session, *, dead_holder: str = "") -> bool:
        self.asked += 1
        return self.asked > 1 and await super()._take_lease(session, dead_holder=dead_holder)


async def test_turns_keep_their_order_when_a_lease_runs_out_between_them(
    sandbox_runtime: Runtime, alice: User
) -> None:
    session = await start(alice, "```bash\necho one\n```")
    await services.turn_submit(session=session, text="```bash\necho two\n```")
    early = JustTooEarly(sandbox_runtime, max_running_turns=4)
    task = asyncio.create_task(early.run())
    await Log(session).wait_for(is_end_of(2))
    await _end(task)
    assert [begun.turn for begun in await Log(session).of(TurnStarted)] == [1, 2]
