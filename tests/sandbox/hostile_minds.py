"""How a guest that was taken over may behave: what it answers to each frame of the host."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from sessions.sandbox.guest import wire
from tests.sandbox.hostile_guest import ended, hello, json_frame, output

PIECE = 1 << 16
FLOOD_BYTES = 100 * 1000 * 1000
FLOOD_FRAMES = 300_000
SILENCE: tuple[bytes, ...] = ()
Mind = Callable[[int, int, bytes], AsyncIterator[bytes]]


async def mute(_kind: int, _ident: int, _payload: bytes) -> AsyncIterator[bytes]:
    """Never answers, not even the greeting."""
    for piece in SILENCE:
        yield piece


async def rude(_kind: int, _ident: int, _payload: bytes) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 400 Bad Request\r\n\r\n"


async def greeting_only(kind: int, _ident: int, _payload: bytes) -> AsyncIterator[bytes]:
    """Starts nothing, answers nothing, kills nothing."""
    if kind == wire.HELLO:
        yield hello()


async def crumbs(kind: int, ident: int, payload: bytes) -> AsyncIterator[bytes]:
    """Tells the truth, one byte at a time."""
    answer = hello() if kind == wire.HELLO else b""
    if kind == wire.START:
        said = b"" if _is_probe(payload) else b"crumbs\n"
        sizes = {"1": len(said), "2": 0}
        answer = (output(ident, 1, 0, said) if said else b"") + ended(ident, sizes=sizes)
    for value in answer:
        await asyncio.sleep(0)
        yield bytes((value,))


def _is_probe(payload: bytes) -> bool:
    return str(json.loads(payload)["exec_id"]).startswith("shell-")


def at_command(answer: Callable[[int], AsyncIterator[bytes]]) -> Mind:
    """Behaves until the first command of the session, whose id `answer` gets."""

    async def act(kind: int, ident: int, payload: bytes) -> AsyncIterator[bytes]:
        if kind == wire.HELLO:
            yield hello()
        elif kind == wire.START and _is_probe(payload):
            yield ended(ident)
        elif kind == wire.START:
            async for piece in answer(ident):
                yield piece

    return act


async def uncredited(ident: int) -> AsyncIterator[bytes]:
    for at in range(0, FLOOD_BYTES, PIECE):
        yield output(ident, 1, at, bytes(PIECE))


async def credits(ident: int) -> AsyncIterator[bytes]:
    frames = [wire.position_frame(wire.CREDIT, ident, 0, n) for n in range(1000)]
    for _turn in range(FLOOD_FRAMES // len(frames)):
        yield b"".join(frames)


async def pongs(_ident: int) -> AsyncIterator[bytes]:
    for _turn in range(FLOOD_FRAMES // 1000):
        yield wire.frame(wire.PONG, 0, b"x" * 64) * 1000


async def late(ident: int) -> AsyncIterator[bytes]:
    """An end, and then more of the same without end."""
    yield ended(ident)
    for at in range(0, FLOOD_BYTES, PIECE):
        yield output(ident, 1, at, bytes(PIECE))
    yield ended(ident, kind="victory") + wire.frame(200, 0)


async def giant(ident: int) -> AsyncIterator[bytes]:
    yield wire.frame(wire.ENDED, ident, b'{"kind":' + b"[[]," * 250_000 + b"0")
    yield wire.frame(wire.ENDED, ident, b'{"kind":[' + b"[]," * 300_000 + b"0]}")


async def backwards(ident: int) -> AsyncIterator[bytes]:
    yield output(ident, 1, 0, b"good\n") + output(ident, 1, 3, b"\n")


async def overflowing(ident: int) -> AsyncIterator[bytes]:
    offsets = {"1": wire.MAX_OFFSET, "2": wire.MAX_OFFSET}
    started = {"existed": True, "stdin": None, "offsets": offsets}
    yield json_frame(wire.STARTED, ident, started)
    yield output(ident, 1, wire.MAX_OFFSET, b"x") + output(ident, 1, wire.MAX_OFFSET + 1, b"x")


async def unending_frame(ident: int) -> AsyncIterator[bytes]:
    yield wire.HEADER.pack(wire.MAX_PAYLOAD, wire.OUTPUT, 0, 0, ident) + b"x"


AT_GREETING: dict[str, Mind] = {"mute": mute, "rude": rude}
AT_COMMAND: dict[str, tuple[Mind, str]] = {
    "greeting only": (greeting_only, "timeout"),
    "uncredited": (at_command(uncredited), "container_lost"),
    "credits": (at_command(credits), "container_lost"),
    "pongs": (at_command(pongs), "container_lost"),
    "giant": (at_command(giant), "container_lost"),
    "backwards": (at_command(backwards), "container_lost"),
    "overflowing": (at_command(overflowing), "container_lost"),
    "unending frame": (at_command(unending_frame), "timeout"),
    "crumbs": (crumbs, "exit"),
    "late": (at_command(late), "exit"),
}
"""Each with the ending that its first command must be given."""
