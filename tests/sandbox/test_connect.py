"""The host's way in as a process of its own, as it is inside a container."""

import asyncio

from typing_extensions import override

from sessions.sandbox.base import DuplexStream
from sessions.sandbox.channel import open_channel
from tests.sandbox.running import run, shell


class ProcessStream(DuplexStream):
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @override
    async def read(self) -> bytes:
        assert self.process.stdout is not None
        return await self.process.stdout.read(65536)

    @override
    async def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    @override
    async def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()


async def test_connect_hands_its_pipes_over_and_ends_with_the_channel(child):
    guest = child.backend.guest(child.container_id)
    process = await asyncio.create_subprocess_exec(
        *guest.command("connect"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    channel = await open_channel(ProcessStream(process))
    outcome = await run(channel, shell("seq 100000"))
    assert len(outcome.stdout) == 588895
    async with asyncio.timeout(5):
        await channel.close()
    assert process.returncode == 0
    assert (await run(child.channel, shell("echo still"))).stdout == b"still\n"


async def test_the_end_of_connect_closes_its_channel_alone(child):
    guest = child.backend.guest(child.container_id)
    process = await asyncio.create_subprocess_exec(
        *guest.command("connect"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    channel = await open_channel(ProcessStream(process))
    process.kill()
    async with asyncio.timeout(5):
        while channel.is_open:  # noqa: ASYNC110 - another process ends
            await asyncio.sleep(0.01)
    await channel.close()
    assert (await run(child.channel, shell("echo still"))).stdout == b"still\n"
