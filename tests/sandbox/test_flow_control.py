"""Who does not read stops one command, and neither memory nor a neighbour pays for it."""

import asyncio
import time

import pytest

from sessions.sandbox.base import Exec, ExecOutput
from sessions.sandbox.output_pace import BURST_BYTES, BYTES_PER_S
from sessions.sandbox.remote_exec import WINDOW_BYTES
from tests.sandbox.memory import proportional_mb
from tests.sandbox.running import command, follow, run, shell

CRUMBS = "import os\nfor _ in range({}): os.write(1, b'x')"


@pytest.mark.slow
async def test_not_iterating_stops_the_command_and_loses_nothing(sandbox):
    size = 30 << 20
    execution = await sandbox.exec(shell(f"head -c {size} /dev/zero; touch finished"))
    await asyncio.sleep(0.5)
    assert [entry.name for entry in await sandbox.list_dir("")] == []
    assert len((await follow(execution)).stdout) == size
    assert [entry.name for entry in await sandbox.list_dir("")] == ["finished"]


async def test_a_flood_does_not_hold_up_a_neighbour(sandbox):
    flood = await sandbox.exec(shell("yes"))

    async def swallow():
        async for item in flood:
            if isinstance(item, ExecOutput):
                await flood.ack(item.stream, item.offset + len(item.data))

    swallowing = asyncio.create_task(swallow())
    await asyncio.sleep(0.2)
    times = []
    for _number in range(30):
        started = time.perf_counter()
        await run(sandbox, shell("echo hi"))
        times.append(time.perf_counter() - started)
    await flood.stop()
    await swallowing
    assert sorted(times)[15] < 2


async def test_an_unread_flood_does_not_hold_up_a_neighbour(sandbox):
    flood = await sandbox.exec(shell("yes"))
    await asyncio.sleep(0.2)
    async with asyncio.timeout(20):
        assert (await run(sandbox, shell("echo hi"))).stdout == b"hi\n"
    await flood.stop()
    await follow(flood)


async def test_an_unread_file_does_not_hold_up_a_neighbour(sandbox):
    await run(sandbox, shell("truncate -s 100M big"))
    reading = sandbox.read_file("big")
    await anext(reading)
    async with asyncio.timeout(20):
        assert (await run(sandbox, shell("echo hi"))).stdout == b"hi\n"
    assert sum([len(chunk) async for chunk in reading]) > 90 << 20


async def sizes(execution: Exec) -> list[int]:
    """Of the pieces in which its output came."""
    found = []
    async for item in execution:
        if isinstance(item, ExecOutput):
            found.append(len(item.data))
            await execution.ack(item.stream, item.offset + len(item.data))
    return found


async def test_a_program_that_prints_byte_by_byte_wakes_nobody_for_each(sandbox):
    started = time.monotonic()
    found = await sizes(await sandbox.exec(command("python3", "-c", CRUMBS.format(1_000_000))))
    assert sum(found) == 1_000_000
    # A burst of 64, and then 500 turns a second, each of which leaves one more to the burst.
    assert len(found) <= 64 + 1000 * (time.monotonic() - started) + 10


async def test_many_that_print_byte_by_byte_all_go_on(sandbox):
    many = [await sandbox.exec(command("python3", "-c", CRUMBS.format(50_000))) for _ in range(8)]
    for found in await asyncio.gather(*map(sizes, many)):
        assert sum(found) == 50_000


async def test_what_is_printed_now_and_then_does_not_wait(sandbox):
    """More lines than a burst, each of which must come before the next is printed."""
    lines = "for n in $(seq 50); do echo o$n; read go; echo e$n >&2; read go; done"
    execution = await sandbox.exec(shell(lines, stdin=True))
    seen = b""
    async for item in execution:
        if isinstance(item, ExecOutput):
            seen += item.data
            await execution.write_stdin(b"\n")
    assert seen == b"".join(b"o%d\ne%d\n" % (n, n) for n in range(1, 51))


async def test_commands_share_how_fast_they_may_print(sandbox):
    size = 24 << 20
    started = time.monotonic()
    many = [await sandbox.exec(shell(f"head -c {size} /dev/zero")) for _ in range(2)]
    for outcome in await asyncio.gather(*map(follow, many)):
        assert len(outcome.stdout) == size
    windows = 2 * WINDOW_BYTES
    paced = 2 * size - BURST_BYTES - windows
    assert time.monotonic() - started >= paced / BYTES_PER_S


@pytest.mark.slow
async def test_the_guest_stays_small(child):
    pid = child.backend.guest(child.container_id).process.pid
    idle = proportional_mb(pid)
    execution = await child.channel.exec(shell("head -c 300000000 /dev/zero"))
    peak = 0.0
    async for item in execution:
        if isinstance(item, ExecOutput):
            await execution.ack(item.stream, item.offset + len(item.data))
            peak = max(peak, proportional_mb(pid)) if item.offset % (8 << 20) < 65536 else peak
    assert idle < 12
    assert peak - idle < 24


@pytest.mark.slow
async def test_the_guest_stays_small_however_many_print(child):
    """Each of them alone may have 4 MiB waiting."""
    pid = child.backend.guest(child.container_id).process.pid
    idle = proportional_mb(pid)
    floods = [await child.channel.exec(shell("yes & yes >&2")) for _ in range(20)]
    peak = 0.0
    for _look in range(20):
        await asyncio.sleep(0.1)
        peak = max(peak, proportional_mb(pid))
    assert peak - idle < 48
    async with asyncio.timeout(60):
        assert (await run(child.channel, shell("echo hi"))).stdout == b"hi\n"
        for flood in floods:
            await flood.stop()
        await asyncio.gather(*map(follow, floods))
