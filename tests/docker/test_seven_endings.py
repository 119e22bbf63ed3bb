"""The seven ways a command ends, each caused for real in a real container through a whole turn.

What is checked each time: the log, what the model reads, and that the next command works.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from django.contrib.auth.models import User
from typing_extensions import override

from sessions import services
from sessions.events.types import CallEnded, Output
from sessions.providers.base import Delta, ModelRequest
from sessions.providers.script import since_user
from sessions.providers.scripted import ScriptedProvider
from sessions.sandbox.base import ExecRequest
from sessions.sandbox.limits import MIB
from tests.docker.turns import LIMITS, Call, Turns, turns
from tests.scripted_models import ScriptedModels

pytestmark = [pytest.mark.docker, pytest.mark.slow]

TREE = (
    "sleep 55111 & setsid sleep 55112 & nohup sleep 55113 >/dev/null 2>&1 & "
    "setsid sh -c '(sleep 55114 </dev/null >/dev/null 2>&1 &)' & "
    "python3 -c 'import os, time; os.setpgid(0, 0); os.closerange(0, 64); time.sleep(55115)' & "
    '(trap "" TERM INT HUP QUIT; exec sleep 55116) & '
)
MEMBERS = {f"5511{n}" for n in range(1, 7)}
MEMBER = re.compile(r"^\S+ (?:sleep |python3 .*time\.sleep\()(5511\d)\b")


@dataclass
class Held(ScriptedProvider):
    """Goes on after a command only when it is let."""

    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    @override
    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        if since_user(request.items)[1]:
            await self.may_go_on.wait()
        async for delta in super().stream(request):
            yield delta


def held(session: Turns) -> Held:
    """Hold the session's turns from now on, each after its first step."""
    models = session.runtime.models
    assert isinstance(models, ScriptedModels)
    models.instead = provider = Held()
    return provider


async def check_goes_on(session: Turns) -> None:
    call = await session.run("echo alive")
    assert (call.ending, call.output) == ({"kind": "exit", "exit_code": 0}, b"alive\n")


async def until_all_run(session: Turns) -> None:
    async with asyncio.timeout(20):
        while await left(session) != MEMBERS:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def left(session: Turns) -> set[str]:
    """Those of the tree that are alive."""
    return {found[1] for line in await session.processes() if (found := MEMBER.search(line))}


async def test_exit_and_signal(alice: User) -> None:
    async with turns(alice) as session:
        call = await session.run("exit 3")
        assert call.ending == {"kind": "exit", "exit_code": 3}
        assert "[exit code 3]" in call.told
        call = await session.run("kill -SEGV $$")
        assert call.ending == {"kind": "signal", "signal": "SIGSEGV"}
        assert "[killed by SIGSEGV]" in call.told
        await check_goes_on(session)


async def test_timeout_leaves_nothing(alice: User) -> None:
    async with turns(alice) as session:
        limits = LIMITS.to_json() | {"command_timeout_s": 4.0}
        session.session.limits = limits
        await session.session.asave(update_fields=["limits"])
        provider = held(session)
        await session.begin([TREE + "echo up; wait"])
        await session.log.wait_for(lambda body: isinstance(body, Output))
        await until_all_run(session)
        await session.log.wait_for(lambda body: isinstance(body, CallEnded))
        assert await left(session) == set()
        provider.may_go_on.set()
        (call,) = await session.end()
        assert call.ending == {"kind": "timeout", "timeout_s": 4.0, "signal": "SIGKILL"}
        assert "[timed out after 4 s]" in call.told
        assert call.output == b"up\n"
        await check_goes_on(session)


async def test_stop_leaves_nothing(alice: User) -> None:
    async with turns(alice) as session:
        await session.begin([TREE + "echo up; wait"])
        await session.log.wait_for(lambda body: isinstance(body, Output))
        await until_all_run(session)
        await services.turn_stop(session=session.session)
        await session.log.wait_for(lambda body: isinstance(body, CallEnded))
        assert await left(session) == set()
        (call,) = await session.end()
        assert call.ending == {"kind": "stopped", "signal": "SIGKILL"}
        await check_goes_on(session)


async def test_stop_spares_what_an_ended_command_left_and_its_own_stop_takes_it(
    alice: User,
) -> None:
    """A server started by an earlier command is not the stopped command's."""
    async with turns(alice) as session:
        await session.run(TREE + "echo started")
        await until_all_run(session)
        await session.begin(["echo up; sleep 5522"])
        await session.log.wait_for(
            lambda body: isinstance(body, Output) and body.content == b"up\n"
        )
        await services.turn_stop(session=session.session)
        await session.end()
        processes = await session.processes()
        assert not [line for line in processes if "5522" in line]
        assert await left(session) == MEMBERS
        started = (await session.log.of(CallEnded))[0]
        sandbox = await session.sandbox()
        async with asyncio.timeout(10):
            ended = await sandbox.exec(ExecRequest(started.call_id, ("/bin/sh",)))
            await ended.stop()
            while await left(session):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)


async def test_oom_tells_limit_and_peak(alice: User) -> None:
    async with turns(alice) as session:
        call = await session.run("python3 -c 'x = bytearray(2 * 10**9)'")
        assert call.ending["kind"] == "oom"
        assert call.ending["limit_bytes"] == 256 * MIB
        peak = call.ending["peak_bytes"]
        assert isinstance(peak, int)
        assert 200 * MIB < peak <= 256 * MIB
        assert f"[killed: out of memory (limit {256 * MIB:,} bytes, peak {peak:,} bytes)]" in (
            call.told
        )
        await check_goes_on(session)


async def test_a_shell_that_outlives_what_ran_out_of_memory_says_so(alice: User) -> None:
    async with turns(alice) as session:
        call = await session.run("head -c 1G /dev/zero | tail | wc -c; echo after")
        assert (call.ending["kind"], call.ending["exit_code"]) == ("exit", 0)
        kills = call.ending["oom_kills"]
        assert isinstance(kills, int)
        assert kills >= 1
        assert call.ending["limit_bytes"] == 256 * MIB
        told = "[exit code 0; meanwhile a process was killed, out of memory (limit"
        assert told in call.told
        await check_goes_on(session)
        assert (await session.run("sleep 0.1")).ending == {"kind": "exit", "exit_code": 0}


async def test_disk_full_tells_its_size(alice: User) -> None:
    async with turns(alice, size="16m") as session:
        call = await session.run("head -c 50000000 /dev/zero > big")
        size = 16 * MIB
        assert call.ending == {"kind": "disk_full", "limit_bytes": size, "used_bytes": size}
        told = f"[ended: the disk is full (limit {size:,} bytes, used {size:,} bytes)]"
        assert told in call.told
        await check_goes_on(session)
        assert (await session.run("rm big; echo x > small; exit 1")).ending["kind"] == "exit"


async def test_container_lost(alice: User) -> None:
    async with turns(alice) as session:
        await session.run("echo kept > kept")
        before = await session.container()
        await session.begin(["echo up; sleep 60"])
        await session.log.wait_for(
            lambda body: isinstance(body, Output) and body.content == b"up\n"
        )
        await session.docker.call(lambda api: api.kill(before))
        call: Call = (await session.end())[-1]
        assert call.ending == {"kind": "container_lost"}
        assert "[ended: the container was lost]" in call.told
        assert call.output == b"up\n"
        assert (await session.run("cat kept")).output == b"kept\n"
        assert await session.container() != before
