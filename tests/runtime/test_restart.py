"""What an earlier process left is gone on with, byte for byte."""

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator

import pytest
from django.contrib.auth.models import User
from typing_extensions import override

from sessions import services
from sessions.errors import ContextOverflowError
from sessions.events.types import (
    CallEnded,
    CallStarted,
    ContextCompacted,
    Notice,
    Output,
    TurnEnded,
)
from sessions.models import Session, Turn, TurnStatus
from sessions.providers.base import Delta, ModelRequest
from sessions.providers.scripted import ScriptedProvider
from sessions.runtime.process import Runtime
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.supervisor import Supervisor
from sessions.sandbox.channel import open_channel
from tests.runtime.conftest import Log
from tests.runtime.test_turns import is_end, output_of, start
from tests.scripted_models import ScriptedModels

pytestmark = pytest.mark.slow


async def _run(runtime: Runtime) -> asyncio.Task[None]:
    async def live() -> None:
        try:
            await Supervisor(runtime, max_running_turns=4).run()
        finally:
            await runtime.sandboxes.close_channels()

    return asyncio.create_task(live())


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _another(runtime: Runtime) -> Runtime:
    """A second process's runtime: the same engine, no channel of the first one's."""
    before = runtime.sandboxes
    sandboxes = Sandboxes(before.backend, open_channel, archives=before.archives)
    return Runtime(sandboxes=sandboxes, models=ScriptedModels(), config=runtime.config)


async def test_a_turn_goes_on_in_the_next_process_and_no_command_runs_twice(
    sandbox_runtime: Runtime, alice: User
) -> None:
    count = "for i in $(seq 60); do echo line $i; sleep 0.05; done; echo ran >> ran"
    session = await start(alice, f"```bash\n{count}\n```\n---\n```bash\ncat ran\n```")
    first = await _run(sandbox_runtime)
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    await asyncio.sleep(0.5)
    await _end(first)
    turn = await Turn.objects.aget(session=session)
    assert turn.status == TurnStatus.RUNNING
    assert await Log(session).of(TurnEnded) == []

    await asyncio.sleep(0.3)  # output goes on while nobody reads it
    second = await _run(_another(sandbox_runtime))
    end = await Log(session).wait_for(is_end, 30)
    (notice,) = await Log(session).of(Notice)
    assert notice.text == "Berth was restarted. The turn goes on where it was."
    await _end(second)

    assert end.reason == "completed"
    first_id = (await Log(session).of(CallStarted))[0].call_id
    outputs = await Log(session).of(Output)
    count_output = b"".join(o.content for o in outputs if o.call_id == first_id)
    assert count_output == b"".join(b"line %d\n" % i for i in range(1, 61))
    assert await output_of(session) == b"ran\n"
    assert len(await Log(session).of(CallStarted)) == 2
    assert len(await Log(session).of(CallEnded)) == 2


async def test_bytes_cut_anywhere_are_there_once(sandbox_runtime: Runtime, alice: User) -> None:
    """A flood, interrupted again and again."""
    command = "head -c 20000000 /dev/urandom | tee copy; sha256sum < copy > sum"
    session = await start(alice, f"```bash\n{command}\n```\n---\n```bash\ncat sum\n```")
    for _ in range(4):
        task = await _run(_another(sandbox_runtime))
        await asyncio.sleep(0.25)
        await _end(task)
    task = await _run(_another(sandbox_runtime))
    await Log(session).wait_for(is_end, 60)
    await _end(task)
    flood, summed = (started.call_id for started in await Log(session).of(CallStarted))
    outputs = await Log(session).of(Output)
    content = b"".join(o.content for o in outputs if o.call_id == flood)
    expected = b"".join(o.content for o in outputs if o.call_id == summed).split()[0].decode()
    assert len(content) == 20_000_000
    assert hashlib.sha256(content).hexdigest() == expected


async def test_a_stop_while_no_process_runs_is_kept(sandbox_runtime: Runtime, alice: User) -> None:
    session = await start(alice, "```bash\necho on; sleep 300\n```")
    first = await _run(sandbox_runtime)
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    await _end(first)
    await services.turn_stop(session=session)
    second = await _run(_another(sandbox_runtime))
    end = await Log(session).wait_for(is_end)
    await _end(second)
    assert end.reason == "stopped"
    assert (await Log(session).of(CallEnded))[0].ending["kind"] == "stopped"


async def test_a_command_whose_container_went_meanwhile_does_not_run_again(
    sandbox_runtime: Runtime, alice: User
) -> None:
    session = await start(
        alice, "```bash\necho ran >> ran; echo on; sleep 300\n```\n---\n```bash\ncat ran\n```"
    )
    first = await _run(sandbox_runtime)
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    await _end(first)
    row = await Session.objects.aget(id=session.id)
    await sandbox_runtime.sandboxes.backend.remove(row.container_id)
    second = await _run(_another(sandbox_runtime))
    await Log(session).wait_for(is_end, 30)
    await _end(second)
    assert (await Log(session).of(CallEnded))[0].ending["kind"] == "container_lost"
    assert await output_of(session) == b"ran\n"


async def test_a_container_that_a_file_access_made_meanwhile_runs_nothing_again(
    sandbox_runtime: Runtime, alice: User
) -> None:
    command = "echo ran >> ran; sleep 300"  # silent, so that nothing but its start is known
    session = await start(alice, f"```bash\n{command}\n```\n---\n```bash\ncat ran\n```")
    first = await _run(sandbox_runtime)
    await Log(session).wait_for(lambda body: isinstance(body, CallStarted))
    row = await Session.objects.aget(id=session.id)
    sandbox = await sandbox_runtime.sandboxes.connect(row)
    async with asyncio.timeout(10):
        while "ran" not in [entry.name for entry in await sandbox.list_dir("")]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    await _end(first)
    await sandbox_runtime.sandboxes.backend.remove(row.container_id)
    visitor = _another(sandbox_runtime)
    assert (await (await visitor.sandboxes.connect(row)).stat("ran")).size
    second = await _run(visitor)
    await Log(session).wait_for(is_end, 30)
    await _end(second)
    assert (await Log(session).of(CallEnded))[0].ending["kind"] == "container_lost"
    assert await output_of(session) == b"ran\n"


async def test_a_live_process_keeps_its_turn(sandbox_runtime: Runtime, alice: User) -> None:
    session = await start(alice, "```bash\necho on; sleep 1\n```")
    first = await _run(sandbox_runtime)
    await Log(session).wait_for(lambda body: isinstance(body, Output))
    second = await _run(_another(sandbox_runtime))
    await Log(session).wait_for(is_end)
    await _end(first)
    await _end(second)
    assert len(await Log(session).of(CallStarted)) == 1


@dataclasses.dataclass(slots=True)
class Forgetful(ScriptedProvider):
    """Takes two items at most."""

    @override
    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        if len(request.items) > 2:
            raise ContextOverflowError("Too long.")
        async for delta in ScriptedProvider.stream(self, request):
            yield delta


async def test_a_compacted_conversation_goes_on_in_the_next_process(
    sandbox_runtime: Runtime, alice: User
) -> None:
    sandbox_runtime.models = ScriptedModels(Forgetful())
    commands = ["seq 9", "sleep 2; echo ran >> ran", "cat ran"]
    session = await start(alice, "\n---\n".join(f"```bash\n{one}\n```" for one in commands))
    first = await _run(sandbox_runtime)
    await Log(session).wait_for(
        lambda body: isinstance(body, CallStarted) and "sleep" in body.command
    )
    await _end(first)
    assert len(await Log(session).of(ContextCompacted)) == 1
    runtime = _another(sandbox_runtime)
    runtime.models = sandbox_runtime.models
    second = await _run(runtime)
    end = await Log(session).wait_for(is_end, 30)
    await _end(second)
    assert isinstance(end, TurnEnded)
    assert end.reason == "completed"
    started = [body.command for body in await Log(session).of(CallStarted)]
    assert started == commands
    assert len(await Log(session).of(ContextCompacted)) == 3
