"""The exec stream carries bytes both ways, and waits in both instead of filling memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import psutil
import pytest

from sessions.errors import ContainerLostError, SandboxUnavailableError
from sessions.sandbox.base import DuplexStream
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.exec_stream import open_exec

pytestmark = pytest.mark.docker

MB = 1_000_000


Start = Callable[..., Awaitable[DuplexStream]]


@pytest.fixture
async def start(docker: AsyncDocker, bare_container: str) -> AsyncIterator[Start]:
    """Starts a command in the container; its stream is closed whatever the test does."""
    opened: list[DuplexStream] = []

    async def start_one(*argv: str) -> DuplexStream:
        created = await docker.call(
            lambda api: api.exec_create(bare_container, list(argv), stdin=True)
        )
        exec_id = str(created["Id"])
        opened.append(await open_exec(docker.address, await docker.api_version(), exec_id))
        return opened[-1]

    yield start_one
    for stream in opened:
        await stream.close()


async def read_exactly(stream: DuplexStream, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0:
        data = await stream.read()
        assert data, "the stream ended early"
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


async def test_every_byte_comes_back_in_order(start: Start) -> None:
    stream = await start("cat")
    sent = bytes(range(256)) * 4096 * 3
    writing = asyncio.create_task(stream.write(sent))
    assert await read_exactly(stream, len(sent)) == sent
    await writing


async def test_first_bytes_are_not_lost(start: Start) -> None:
    """They may arrive together with the engine's answer to the upgrade."""
    for _ in range(20):
        stream = await start("echo", "first")
        assert await read_exactly(stream, 6) == b"first\n"
        assert await stream.read() == b""


async def test_stderr_is_kept_apart(start: Start) -> None:
    stream = await start("sh", "-c", "echo no >&2; echo yes; echo no >&2")
    assert await stream.read() == b"yes\n"
    assert await stream.read() == b""


async def test_a_stream_that_never_began_says_why(start: Start) -> None:
    stream = await start("sh", "-c", "echo the reason >&2; exit 1")
    with pytest.raises(ContainerLostError, match="the reason"):
        await stream.read()


async def test_nobody_reading_stops_the_writer_inside(start: Start) -> None:
    memory = psutil.Process().memory_info().rss
    script = "head -c 200000000 /dev/zero; echo done > /tmp/finished"
    stream = await start("sh", "-c", script)
    await asyncio.sleep(1.5)
    probe = await start("sh", "-c", "ls /tmp; echo end")
    assert b"finished" not in await probe.read()
    assert psutil.Process().memory_info().rss - memory < 16 * MB
    await read_exactly(stream, 200 * MB)


async def test_writing_waits_for_a_reader_inside(start: Start) -> None:
    stream = await start("sh", "-c", "sleep 2; exec wc -c")
    written = 0

    async def write_on() -> None:
        nonlocal written
        while True:
            await stream.write(bytes(MB))
            written += MB

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await write_on()
    assert written < 32 * MB


async def test_a_flood_is_read_fast(start: Start) -> None:
    """Far below what is usual here (several hundred MB/s): only a disaster fails this."""
    stream = await start("head", "-c", str(300 * MB), "/dev/zero")
    started = time.monotonic()
    received = 0
    while data := await stream.read():
        received += len(data)
    seconds = time.monotonic() - started
    assert received == 300 * MB
    assert received / seconds > 20 * MB
    print(f"{received / seconds / MB:.0f} MB/s")  # noqa: T201 - seen with pytest -s


async def test_a_closed_stream_takes_no_more(start: Start) -> None:
    stream = await start("cat")
    await stream.close()
    assert await stream.read() == b""
    with pytest.raises(SandboxUnavailableError):
        await stream.write(b"more")
