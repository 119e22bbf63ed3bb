"""The host's way in as a process of its own, as it is inside a container."""

import asyncio
import os
import sys

import pytest
from typing_extensions import override

from sessions.sandbox.base import DuplexStream
from sessions.sandbox.channel import open_channel
from sessions.sandbox.guest import wire
from tests.sandbox.child_backend import GUEST
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
    async with asyncio.timeout(20):
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
    async with asyncio.timeout(20):
        while channel.is_open:  # noqa: ASYNC110 - another process ends
            await asyncio.sleep(0.01)
    await channel.close()
    assert (await run(child.channel, shell("echo still"))).stdout == b"still\n"


QUICK_TO_GIVE_UP = """
import sys
from sessions.sandbox.guest import link
from sessions.sandbox.guest.serve import serve

link._SILENCE_S = 0.5
names = ("socket", "workspace", "run-dir", "uid", "gid", "scratch", "skills", "disk-limit")
serve(dict(zip(names, (*sys.argv[1:], ""), strict=True)))
"""


@pytest.mark.slow
async def test_a_channel_whose_host_falls_silent_is_let_go_of(tmp_path):
    """As after a kill of the engine: the pipes stay open for ever, and nobody writes to them."""
    path = tmp_path / "guest.sock"
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    ids = (str(os.getuid()), str(os.getgid()))
    words = (str(path), str(workspace), str(tmp_path), *ids, str(workspace), str(tmp_path / "s"))
    guest = await asyncio.create_subprocess_exec(sys.executable, "-c", QUICK_TO_GIVE_UP, *words)
    try:
        while not path.exists():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        silent = await _greeted_visitor(path)
        talking = await _greeted_visitor(path)
        for _ in range(20):
            await talking.write(wire.frame(wire.PING, 0))
            assert await talking.read()
            await asyncio.sleep(0.1)
        async with asyncio.timeout(20):
            assert await silent.process.wait() == 0  # the guest hung up
        assert talking.process.returncode is None
        await talking.close()
    finally:
        guest.kill()
        await guest.wait()


async def _greeted_visitor(path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(GUEST), "connect", "--socket", str(path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    visitor = ProcessStream(process)
    await visitor.write(wire.frame(wire.HELLO, 0, b'{"versions": [1]}'))
    assert await visitor.read()
    return visitor
