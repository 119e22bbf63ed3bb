"""A pipe ends for everybody who waits on it, and never sends half a message and goes on."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from sessions.sandbox.byte_pipe import SocketPipe
from sessions.sandbox.engine_address import EngineAddress


@pytest.fixture
def ends() -> Iterator[tuple[SocketPipe, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield SocketPipe(ours), theirs
    theirs.close()
    ours.close()


async def test_closing_wakes_who_is_reading(ends: tuple[SocketPipe, socket.socket]) -> None:
    pipe, _ = ends
    reading = asyncio.create_task(pipe.receive())
    await asyncio.sleep(0)
    await pipe.close()
    async with asyncio.timeout(10):
        assert await reading == b""
    assert await pipe.receive() == b""


async def test_closing_wakes_who_is_writing(ends: tuple[SocketPipe, socket.socket]) -> None:
    pipe, _ = ends
    writing = asyncio.create_task(pipe.send(bytes(50_000_000)))
    await asyncio.sleep(0.05)
    await pipe.close()
    with pytest.raises(OSError):  # noqa: PT011 - which one is the system's choice
        async with asyncio.timeout(10):
            await writing


async def test_a_write_cut_midway_closes_the_pipe(
    ends: tuple[SocketPipe, socket.socket],
) -> None:
    pipe, _ = ends
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await pipe.send(bytes(50_000_000))
    with pytest.raises(BrokenPipeError):
        await pipe.send(b"more")


async def test_a_flood_leaves_others_their_turn(
    ends: tuple[SocketPipe, socket.socket],
) -> None:
    pipe, theirs = ends
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    total = 100_000_000
    sending = asyncio.create_task(loop.sock_sendall(theirs, bytes(total)))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    neighbour = asyncio.create_task(other())
    while total > 0:
        total -= len(await pipe.receive())
    neighbour.cancel()
    await sending
    assert turns > 50
    await pipe.close()


async def test_an_engine_is_reached_over_tcp() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        pipe = await EngineAddress.from_environment(f"tcp://127.0.0.1:{port}").connect()
        await pipe.send(b"hello")
        assert await pipe.receive() == b"hello"
        assert await pipe.receive() == b""
        await pipe.close()
