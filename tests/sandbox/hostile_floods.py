"""What a host takes of memory while its guest floods it: `python -m tests.sandbox.hostile_floods`.

A process of its own for each flood; prints the memory before and the most it ever was, in MB.
"""

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress

from sessions.errors import SandboxError
from sessions.sandbox import requests
from sessions.sandbox.base import ExecRequest, Sandbox
from sessions.sandbox.channel import open_channel
from sessions.sandbox.guest import wire
from tests.sandbox.hostile_guest import ActingStream, hello, output
from tests.sandbox.hostile_minds import Mind, at_command, credits, giant, late, pongs, uncredited
from tests.sandbox.memory import peak_mb

ENTRY = ["name of a file", "file", 1, 1, 420, None]
LINE_ENTRIES = 500
PIECE = 1 << 16


def lines() -> Iterator[bytes]:
    yield from itertools.repeat(json.dumps([ENTRY] * LINE_ENTRIES).encode() + b"\n")


def one_line() -> Iterator[bytes]:
    yield from itertools.repeat(b" " * PIECE)


def nested() -> Iterator[bytes]:
    yield from itertools.repeat(b"[" * PIECE + b"\n")


def listing(data: Callable[[], Iterator[bytes]]) -> Mind:
    """Answers a request with data as long as the host grants credit, without end."""
    pieces, at, limit = data(), 0, 0

    async def act(kind: int, ident: int, payload: bytes) -> AsyncIterator[bytes]:
        nonlocal at, limit
        if kind == wire.HELLO:
            yield hello()
        elif kind == wire.REQUEST:
            limit = json.loads(payload)["window"]
        elif kind == wire.CREDIT:
            limit = wire.parse_position(payload)[1]
        while limit - at > PIECE:
            piece = next(pieces)
            yield output(ident, 1, at, piece)
            at += len(piece)

    return act


async def follow_command(sandbox: Sandbox) -> None:
    async for _piece in await sandbox.exec(ExecRequest("flooded", ("true",))):
        pass


async def list_folder(sandbox: Sandbox) -> None:
    await sandbox.list_dir("")


FLOODS: dict[str, tuple[Mind, Callable[[Sandbox], Awaitable[None]]]] = {
    "uncredited": (at_command(uncredited), follow_command),
    "credits": (at_command(credits), follow_command),
    "pongs": (at_command(pongs), follow_command),
    "late": (at_command(late), follow_command),
    "giant": (at_command(giant), follow_command),
    "listing": (listing(lines), list_folder),
    "listing of one line": (listing(one_line), list_folder),
    "listing nested deeply": (listing(nested), list_folder),
}


async def measure(name: str) -> tuple[float, float]:
    mind, use = FLOODS[name]
    channel = await open_channel(ActingStream(mind))
    before = peak_mb()
    requests.QUIET_S = 5.0
    with suppress(SandboxError):
        await use(channel)
    await asyncio.sleep(0.5)  # what comes after the end of a call is read as well
    peak = peak_mb()
    await channel.close()
    return before, peak


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measure(sys.argv[1]))))
