"""Stop leaves nothing alive; the end of a command leaves what it started alone."""

import asyncio
import time

import pytest

from sessions.sandbox.base import ExecOutput
from tests.sandbox.running import first_line, follow, run, shell

# A daemon as daemons are made: a new session, two forks, its pipes closed.
DAEMON = "setsid sh -c '(sleep {marker} </dev/null >/dev/null 2>&1 &)' & "


async def alive(sandbox, marker: str) -> int:
    """Processes `sleep <marker>`, zombies not counted."""
    script = (
        "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f 2>/dev/null; echo; done"
        f" | grep -c '^sleep {marker} $'"
    )
    return int((await run(sandbox, shell(script))).stdout)


async def test_stop_kills_sessions_and_double_forks(sandbox):
    script = DAEMON.format(marker=4411) * 3 + "nohup sleep 4411 & echo ready; sleep 4411"
    execution = await sandbox.exec(shell(script))
    await first_line(execution)
    while await alive(sandbox, "4411") < 5:  # noqa: ASYNC110 - other processes start meanwhile
        await asyncio.sleep(0.01)
    started = time.perf_counter()
    await execution.stop()
    outcome = await follow(execution)
    took = time.perf_counter() - started
    assert (outcome.ending.kind, outcome.ending.signal) == ("stopped", "SIGKILL")
    assert await alive(sandbox, "4411") == 0
    assert took < 0.5


async def test_stop_outruns_a_process_that_forks_all_the_time(sandbox):
    script = "f() { sleep 4412 & while :; do (sleep 4412 &) ; done; }; echo ready; f"
    execution = await sandbox.exec(shell("ulimit -u 400; " + script))
    await first_line(execution)
    await asyncio.sleep(0.3)
    await execution.stop()
    async with asyncio.timeout(10):
        outcome = await follow(execution)
    assert outcome.ending.kind == "stopped"
    assert await alive(sandbox, "4412") == 0


async def test_stop_leaves_other_commands_alone(sandbox):
    other = await sandbox.exec(shell("echo ready; read line; echo survived", stdin=True))
    await first_line(other)
    victim = await sandbox.exec(shell("echo ready; sleep 100"))
    await first_line(victim)
    await victim.stop()
    assert (await follow(victim)).ending.kind == "stopped"
    await other.write_stdin(b"\n")
    assert (await follow(other)).stdout == b"survived\n"


async def test_what_was_said_before_the_stop_is_not_lost(sandbox):
    execution = await sandbox.exec(shell("seq 100000; echo ready >&2; sleep 100"))
    outputs = b""
    async for item in execution:
        if not isinstance(item, ExecOutput):
            break
        await execution.ack(item.stream, item.offset + len(item.data))
        if item.stream == "stderr":
            await execution.stop()
        else:
            outputs += item.data
    assert outputs == b"".join(b"%d\n" % number for number in range(1, 100001))


@pytest.mark.slow
async def test_a_background_server_survives_the_end_of_its_call(sandbox):
    started = time.perf_counter()
    outcome = await run(sandbox, shell("sh -c 'while sleep 0.05; do echo tick; done' & echo up"))
    assert time.perf_counter() - started < 20
    assert outcome.stdout.startswith(b"up\n")
    assert (outcome.ending.kind, outcome.ending.exit_code) == ("exit", 0)
    await asyncio.sleep(0.3)
    script = "grep -l tick /proc/[0-9]*/cmdline | grep -v self | wc -l"
    assert int((await run(sandbox, shell(script))).stdout) >= 1


async def test_a_background_flood_neither_blocks_nor_breaks(sandbox):
    script = "sh -c 'yes | head -c 20000000; touch finished' & sleep 0.05"
    await run(sandbox, shell(script))
    wait = "timeout 20 sh -c 'until [ -e finished ]; do sleep 0.02; done'"
    assert (await run(sandbox, shell(wait))).ending.exit_code == 0


async def test_stop_after_the_end_takes_what_was_left_running(sandbox):
    execution = await sandbox.exec(shell("sleep 4413 & echo up"))
    await first_line(execution)
    await execution.stop()
    await follow(execution)
    async with asyncio.timeout(20):
        while await alive(sandbox, "4413"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_orphans_are_reaped(sandbox):
    await run(sandbox, shell("for i in 1 2 3 4 5 6 7 8; do (true &) ; done; sleep 0.1"))
    await asyncio.sleep(0.1)
    script = (
        "for f in /proc/[0-9]*/status; do"
        " grep -q '^State:.Z' $f && grep -q \"^PPid:.$PPID$\" $f && echo $f; done 2>/dev/null | wc -l"
    )
    assert int((await run(sandbox, shell(script))).stdout) == 0


async def test_exit_codes_are_not_stolen_by_reaping(sandbox):
    script = "(exit 5) & (true &) ; wait $!; exit $(( 40 + $? ))"
    outcomes = await asyncio.gather(*(run(sandbox, shell(script)) for _ in range(10)))
    assert {outcome.ending.exit_code for outcome in outcomes} == {45} or {
        outcome.ending.exit_code for outcome in outcomes
    } <= {40, 45}


async def test_the_guest_ends_at_once_when_it_is_told_to(child):
    guest = child.backend.guest(child.container_id)
    execution = await child.channel.exec(shell(DAEMON.format(marker=4414) + "echo up; sleep 4414"))
    await first_line(execution)
    guest.process.terminate()
    async with asyncio.timeout(20):
        await guest.process.wait()
    probe = await asyncio.create_subprocess_exec(
        "pgrep", "-f", "^sleep 4414", stdout=asyncio.subprocess.PIPE
    )
    out, _err = await probe.communicate()
    assert out == b""
