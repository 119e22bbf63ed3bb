"""A new connection gets the rest of a command's output, every byte once."""

import asyncio
from dataclasses import replace

import pytest

from sessions.errors import CommandForgottenError, SandboxError, SandboxUnavailableError
from sessions.sandbox.base import ExecEnded, ExecOutput
from tests.sandbox.running import first_line, follow, run, shell

pytestmark = pytest.mark.slow

COUNT = "i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo $i; echo e$i >&2; done"
EXPECTED = b"".join(b"%d\n" % number for number in range(1, 601))


async def test_the_same_id_starts_a_command_once(sandbox):
    request = shell("echo run >> runs; sleep 0.2; cat runs")
    first = await sandbox.exec(request)
    second = await sandbox.exec(request)
    assert (await follow(second)).stdout == b"run\n"
    with pytest.raises(SandboxUnavailableError):
        await follow(first)


@pytest.mark.slow
async def test_the_rest_comes_exactly_once_after_a_lost_connection(box):
    request = shell(COUNT.replace("done", "sleep 0.0001; done"))
    stored = {"stdout": b"", "stderr": b""}
    execution = await box.channel.exec(request)
    async for item in execution:
        assert isinstance(item, ExecOutput)
        stored[item.stream] += item.data
        await execution.ack(item.stream, item.offset + len(item.data))
        if len(stored["stdout"]) > 200:
            break
    await box.channel.close()
    for _cut in range(3):
        channel = await box.reopen()
        out, err = len(stored["stdout"]), len(stored["stderr"])
        rest = replace(request, stdout_offset=out, stderr_offset=err)
        execution = await channel.exec(rest)
        pieces = 0
        async for item in execution:
            if isinstance(item, ExecEnded):
                break
            assert item.offset == len(stored[item.stream])
            stored[item.stream] += item.data
            pieces += 1
            if pieces == 40 and _cut < 2:
                break
        if _cut < 2:
            await channel.close()
    assert stored["stdout"] == EXPECTED
    assert stored["stderr"] == b"".join(b"e%d\n" % number for number in range(1, 601))


async def test_what_was_not_acknowledged_comes_again(box):
    request = shell("seq 1000")
    assert len((await _take_without_ack(await box.channel.exec(request)))[0]) == 3893
    await box.channel.close()
    channel = await box.reopen()
    outcome = await follow(await channel.exec(request))
    assert len(outcome.stdout) == 3893
    assert outcome.ending.exit_code == 0


async def _take_without_ack(execution) -> tuple[bytes, ExecEnded]:
    data = b""
    async for item in execution:
        if isinstance(item, ExecEnded):
            return data, item
        data += item.data
    raise AssertionError("no end")


async def test_a_command_goes_on_and_ends_while_nobody_is_there(box):
    request = shell("echo before; sleep 0.3; echo after; touch finished; exit 7")
    execution = await box.channel.exec(request)
    await first_line(execution)
    await box.channel.close()
    await asyncio.sleep(0.5)
    channel = await box.reopen()
    outcome = await follow(await channel.exec(request))
    assert outcome.stdout == b"before\nafter\n"
    assert outcome.ending.exit_code == 7
    assert (await channel.stat("finished")).size == 0


async def test_the_end_is_told_again_though_all_output_was_stored(box):
    request = shell("echo x; exit 3")
    assert (await run(box.channel, request)).ending.exit_code == 3
    await box.channel.close()
    channel = await box.reopen()
    again = await follow(await channel.exec(replace(request, stdout_offset=2)))
    assert (again.stdout, again.ending.exit_code) == (b"", 3)


@pytest.mark.slow
async def test_with_nobody_reading_the_command_waits_and_nothing_is_dropped(box):
    size = 12 << 20  # more than the guest keeps
    request = shell(f"head -c {size} /dev/zero; echo done >&2")
    await box.channel.exec(request)
    await asyncio.sleep(0.3)
    await box.channel.close()
    channel = await box.reopen()
    await asyncio.sleep(0.3)
    outcome = await follow(await channel.exec(request))
    assert len(outcome.stdout) == size
    assert outcome.stderr == b"done\n"


async def test_many_commands_that_end_alone_lose_nothing_together(box):
    """More than the guest holds of all of them, while the host is away."""
    size = 3 << 20
    requests = [
        shell(f"sleep 1; head -c {size} /dev/zero; echo {n} >&2; exit 5") for n in range(20)
    ]
    for request in requests:
        await box.channel.exec(request)
    await asyncio.sleep(0.5)
    await box.channel.close()
    await asyncio.sleep(2)
    channel = await box.reopen()
    for number, request in enumerate(requests):
        outcome = await follow(await channel.exec(request))
        assert len(outcome.stdout) == size
        assert outcome.stderr == b"%d\n" % number
        assert outcome.ending.exit_code == 5


async def test_of_many_ended_commands_those_that_were_told_are_forgotten_first(box):
    untold = shell("echo untold; exit 3")
    await box.channel.exec(untold)
    await asyncio.sleep(0.5)
    told = [shell("echo told") for _ in range(300)]
    for request in told:
        assert (await run(box.channel, request)).ending.exit_code == 0
    await box.channel.close()
    channel = await box.reopen()
    with pytest.raises(CommandForgottenError):
        await follow(await channel.exec(told[0]))
    outcome = await follow(await channel.exec(untold))
    assert (outcome.stdout, outcome.ending.exit_code) == (b"untold\n", 3)


async def test_output_that_is_gone_is_left_out_not_invented(sandbox):
    request = shell("echo hello; sleep 0.5; echo more")
    execution = await sandbox.exec(request)
    await first_line(execution)
    await execution.ack("stdout", 6)
    await execution.detach()
    pieces = [piece async for piece in await sandbox.exec(request)]
    assert [(p.offset, p.data) for p in pieces if isinstance(p, ExecOutput)] == [(6, b"more\n")]
    with pytest.raises(SandboxError, match="no output from there on"):
        await follow(await sandbox.exec(replace(request, stdout_offset=1000)))


async def test_a_new_command_has_no_earlier_output(sandbox):
    with pytest.raises(SandboxError, match="no output yet"):
        await follow(await sandbox.exec(shell("echo x", stdout_offset=5)))


async def test_detached_from_a_command_goes_on(sandbox):
    request = shell("echo up; sleep 0.2; echo later")
    execution = await sandbox.exec(request)
    await first_line(execution)
    await execution.detach()
    with pytest.raises(SandboxUnavailableError):
        await follow(execution)
    assert (await follow(await sandbox.exec(request))).stdout == b"up\nlater\n"


@pytest.mark.slow
async def test_many_ended_commands_are_kept_within_bounds(sandbox):
    first = shell("echo first")
    await run(sandbox, first)
    for _number in range(300):
        await run(sandbox, shell("true"))
    with pytest.raises(SandboxError, match="no longer kept"):
        await follow(await sandbox.exec(replace(first, stdout_offset=6)))


async def test_losing_the_guest_raises_from_the_iteration(child):
    execution = await child.channel.exec(shell("echo up; sleep 100"))
    await first_line(execution)
    child.backend.guest(child.container_id).process.kill()
    with pytest.raises(SandboxUnavailableError):
        await follow(execution)
    assert not child.channel.is_open
    with pytest.raises(SandboxUnavailableError):
        await child.channel.exec(shell("true"))
    with pytest.raises(SandboxUnavailableError):
        await child.channel.stat("x")
