"""Who does not read stops one command, and neither memory nor a neighbour pays for it."""

import asyncio
import time

import pytest

from sessions.sandbox.base import ExecOutput
from tests.sandbox.memory import proportional_mb
from tests.sandbox.running import follow, run, shell


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
    assert sorted(times)[15] < 0.1


async def test_an_unread_flood_does_not_hold_up_a_neighbour(sandbox):
    flood = await sandbox.exec(shell("yes"))
    await asyncio.sleep(0.2)
    async with asyncio.timeout(5):
        assert (await run(sandbox, shell("echo hi"))).stdout == b"hi\n"
    await flood.stop()
    await follow(flood)


async def test_an_unread_file_does_not_hold_up_a_neighbour(sandbox):
    await run(sandbox, shell("truncate -s 100M big"))
    reading = sandbox.read_file("big")
    await anext(reading)
    async with asyncio.timeout(5):
        assert (await run(sandbox, shell("echo hi"))).stdout == b"hi\n"
    assert sum([len(chunk) async for chunk in reading]) > 90 << 20


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
