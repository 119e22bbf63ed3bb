"""The host's end of a channel, with calls of every kind open, sent the input by its guest."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from functools import cache

from typing_extensions import override

from sessions.errors import BerthError
from sessions.sandbox.base import Exec, ExecOutput, ExecRequest
from sessions.sandbox.channel import GuestChannel, open_channel
from sessions.sandbox.guest import wire
from tests.fuzz.frames import Frame, encode, json_frame, position
from tests.sandbox.hostile_guest import HostileStream, hello

ENTRY = ["file", 5, 1.5, 0o644, None]
END = {
    "kind": "exit",
    "exit_code": 0,
    "signal": None,
    "timeout_s": 1,
    "limit_bytes": 9,
    "peak_bytes": 9,
    "duration_ms": 1,
    "sizes": {"1": 0, "2": 0},
    "log_path": "",
}
FED, FOLLOWED, USAGE, LISTING, UPLOAD, READ, STAT = range(1, 8)
"""The ids of the calls that `run` opens, in their order."""
TEMPLATES = (
    json_frame(wire.HELLO, 0, {"version": 1}),
    Frame(wire.PONG, 0, b""),
    json_frame(wire.ERROR, 0, {"code": "x", "message": "no"}),
    json_frame(wire.ERROR, FOLLOWED, {"code": "superseded", "message": "no"}),
    json_frame(wire.ERROR, LISTING, {"code": "disk_full", "message": "no"}),
    json_frame(wire.STARTED, FED, {"existed": False, "stdin": {"offset": 0, "limit": 5},
                                   "offsets": {"1": 0, "2": 0}}),
    json_frame(wire.STARTED, FOLLOWED, {"existed": True, "stdin": None,
                                        "offsets": {"1": 9, "2": 0}}),
    position(wire.CREDIT, FED, wire.STDIN, 70_000),
    position(wire.CREDIT, UPLOAD, wire.STDIN, 70_000),
    position(wire.OUTPUT, FED, wire.STDOUT, 0, b"hello"),
    position(wire.OUTPUT, FOLLOWED, wire.STDOUT, 0, b"hello"),
    position(wire.OUTPUT, FOLLOWED, wire.STDERR, 0, b"x"),
    position(wire.OUTPUT, READ, wire.STDOUT, 0, b"content"),
    position(wire.OUTPUT, LISTING, wire.STDOUT, 0, b'[["a", "file", 5, 1.5, 420, null]]\n'),
    json_frame(wire.ENDED, FED, END),
    json_frame(wire.ENDED, FOLLOWED, {**END, "sizes": {"1": 5, "2": 0}}),
    json_frame(wire.RESULT, USAGE, {"memory_bytes": 5, "cpu_seconds": 0.5, "pids": None}),
    json_frame(wire.RESULT, LISTING, {"count": 1}),
    json_frame(wire.RESULT, UPLOAD, {"entry": ENTRY}),
    json_frame(wire.RESULT, READ, {"size": 7}),
    json_frame(wire.RESULT, STAT, {"entry": ENTRY}),
)  # fmt: skip
SEEDS = (
    encode(TEMPLATES[5:6] + TEMPLATES[7:10] + TEMPLATES[14:15]),
    encode(
        (*TEMPLATES[10:12], json_frame(wire.ENDED, FOLLOWED, END | {"sizes": {"1": 5, "2": 1}}))
    ),
    encode((TEMPLATES[6], json_frame(wire.ENDED, FOLLOWED, END | {"sizes": {"1": 9, "2": 0}}))),
    encode((TEMPLATES[13], TEMPLATES[17], TEMPLATES[16])),
    encode((TEMPLATES[8], TEMPLATES[18], TEMPLATES[12], TEMPLATES[19], TEMPLATES[20])),
)
PATIENCE_S = 10.0
HELD_BYTES = 3 << 20
"""Two windows of output and a listing's: more must never wait to be read."""


class _Complaints(logging.Handler):
    """What is logged as an error was not foreseen."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(record.getMessage())


@cache
def _runner() -> asyncio.Runner:
    """Made by the first run: who only reads the seeds goes on logging as before."""
    logging.getLogger("sessions").addHandler(_Complaints(logging.ERROR))
    logging.getLogger("sessions.sandbox.connection").setLevel(logging.ERROR)
    return asyncio.Runner()


def run(data: bytes) -> None:
    """Raises: AssertionError, or whatever else came out and should not."""
    _runner().run(_run(data))


async def _run(data: bytes) -> None:
    loop = asyncio.get_running_loop()
    unforeseen: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _loop, context: unforeseen.append(context))
    stream = HostileStream()
    stream.put(hello())
    channel = await open_channel(stream)
    fed = await channel.exec(ExecRequest("fed", ("cat",), stdin=True))
    followed = await channel.exec(ExecRequest("followed", ("true",)))
    calls: list[Awaitable[object]] = [
        _feed(fed), _drain(fed), _drain(followed), channel.usage(), channel.list_dir("x"),
        channel.write_file("u", b"u" * 100_000), _read(channel), channel.stat("s"),
    ]  # fmt: skip
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0)
    for piece in _pieces(data):
        stream.put(piece)
        await asyncio.sleep(0)
    stream.hang_up()
    async with asyncio.timeout(PATIENCE_S):
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await channel.close()
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, BerthError):
            raise outcome
    assert not unforeseen, unforeseen
    assert stream.is_closed
    assert not channel.is_open
    assert len(asyncio.all_tasks()) == 1, asyncio.all_tasks()
    assert len(stream.written) < HELD_BYTES


def _pieces(data: bytes) -> list[bytes]:
    """As a guest may cut it: in one, or in odd parts."""
    size = 1 + len(data) // (1 + data[0] % 4) if data else 1
    return [data[at : at + size] for at in range(0, len(data), size)]


async def _feed(execution: Exec) -> None:
    await execution.write_stdin(b"i" * 100_000)
    await execution.close_stdin()


async def _drain(execution: Exec) -> None:
    at = {"stdout": -1, "stderr": -1}
    async for item in execution:
        if isinstance(item, ExecOutput):
            assert item.data
            assert at[item.stream] in (-1, item.offset) or item.offset > at[item.stream]
            at[item.stream] = item.offset + len(item.data)
            await execution.ack(item.stream, item.offset + len(item.data))


async def _read(channel: GuestChannel) -> None:
    chunks: AsyncIterator[bytes] = channel.read_file("r")
    async for chunk in chunks:
        assert chunk
