"""One process at a time stores what a shell prints, and takes it up from one that is gone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.contrib.auth.models import User

from sessions.errors import LeaseLostError
from sessions.events import log
from sessions.events.types import Output, ShellEnded
from sessions.models import Session, Shell
from sessions.runtime.leases import lease_name
from sessions.runtime.process import Runtime
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.shell_live import LiveShell
from sessions.sandbox.base import TerminalSize
from sessions.sandbox.channel import open_channel
from tests.runtime.conftest import Log
from tests.scripted_models import ScriptedModels

SIZE = TerminalSize(80, 24)


@pytest.fixture
async def other(sandbox_runtime: Runtime) -> AsyncIterator[Runtime]:
    """A second process's runtime: the same engine, no channel of the first one's."""
    before = sandbox_runtime.sandboxes
    sandboxes = Sandboxes(before.backend, open_channel, archives=before.archives)
    runtime = Runtime(sandboxes=sandboxes, models=ScriptedModels(), config=sandbox_runtime.config)
    yield runtime
    await runtime.shells.aclose()
    await runtime.sandboxes.close_channels()


async def row_of(shell: Shell) -> Shell:
    return await Shell.objects.select_related("session").aget(pk=shell.pk)


async def is_let_go(live: LiveShell) -> None:
    async with asyncio.timeout(10):
        await live.over.wait()
    assert live.is_elsewhere
    assert live.ending is None


async def test_a_shell_that_is_followed_is_left_to_who_follows_it(
    sandbox_runtime: Runtime, other: Runtime, agent_session: Session, alice: User
) -> None:
    shell = await sandbox_runtime.shells.open(session=agent_session, user=alice, size=SIZE)
    live = sandbox_runtime.shells.live(shell)
    await other.shells.resume()
    await asyncio.sleep(0.5)
    assert (await row_of(shell)).holder == sandbox_runtime.sandboxes.lease
    assert not live.over.is_set()


async def test_one_of_a_process_that_is_gone_is_taken_up(
    sandbox_runtime: Runtime, other: Runtime, agent_session: Session, alice: User
) -> None:
    shell = await sandbox_runtime.shells.open(session=agent_session, user=alice, size=SIZE)
    live = sandbox_runtime.shells.live(shell)
    await live.loaded.wait()
    parts = lease_name().split(":")
    parts[1] = str(2**22 + 1)
    await Shell.objects.filter(pk=shell.pk).aupdate(holder=":".join(parts))
    await other.shells.resume()
    async with asyncio.timeout(10):
        while (await row_of(shell)).holder != other.sandboxes.lease:  # noqa: ASYNC110 - a row
            await asyncio.sleep(0.02)
    live.typed.accept(0, b"echo on\n")
    await is_let_go(live)


@pytest.mark.slow
async def test_a_page_that_comes_to_another_process_takes_it_along_without_a_byte_doubled(
    sandbox_runtime: Runtime, other: Runtime, agent_session: Session, alice: User
) -> None:
    first = sandbox_runtime.shells
    shell = await first.open(session=agent_session, user=alice, size=SIZE)
    live = first.live(shell)
    live.typed.accept(
        0, b"i=0; while [ $i -lt 300 ]; do echo line $i; sleep 0.01; i=$((i+1)); done; exit\n"
    )
    await Log(agent_session).wait_for(lambda b: isinstance(b, Output) and b"line 9" in b.content)
    other.shells.live(await row_of(shell))
    await is_let_go(live)
    assert first.live(await row_of(shell)) is not live, "and back again, for who comes again"
    await Log(agent_session).wait_for(lambda body: isinstance(body, ShellEnded))
    end = 0
    content = b""
    for piece in await Log(agent_session).of(Output):
        assert piece.offset == end, "neither a gap nor a double"
        end += len(piece.content)
        content += piece.content
    assert [n for n in range(300) if content.count(b"line %d\r" % n) != 1] == []
    assert len(await Log(agent_session).of(ShellEnded)) == 1


async def test_who_lost_it_stores_nothing(
    sandbox_runtime: Runtime, agent_session: Session, alice: User
) -> None:
    shell = await sandbox_runtime.shells.open(session=agent_session, user=alice, size=SIZE)
    before = (await Session.objects.aget(id=agent_session.id)).last_seq
    with pytest.raises(LeaseLostError):
        await log.append(
            agent_session.id,
            [Output(shell.shell_id, "pty", 0, b"forged")],
            shell=(shell.shell_id, "another"),
        )
    assert b"forged" not in [piece.content for piece in await Log(agent_session).of(Output)]
    assert (await Session.objects.aget(id=agent_session.id)).last_seq >= before
