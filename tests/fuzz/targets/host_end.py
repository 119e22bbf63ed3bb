"""The host's end of a channel, with calls of every kind open, sent the input by its guest."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from functools import cache
from typing import Any, get_args

from typing_extensions import override

from sessions.errors import BerthError
from sessions.sandbox.base import (
    Exec,
    ExecOutput,
    ExecRequest,
    FolderWatch,
    TerminalSize,
    WatchKind,
)
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
(
    FED, FOLLOWED, USAGE, LISTING, UPLOAD, READ, STAT, TYPED, STOPPED, WATCH, BUSY, ARCHIVE,
    ARCHIVE_ALL, UNPACK, LIMITS, FOLDER, RENAMED, REMOVED, SKILLS,
) = range(1, 20)  # fmt: skip
"""The ids of the calls that `run` opens, in their order."""
FIRST = (
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
TYPING = (
    json_frame(wire.STARTED, TYPED, {"existed": True, "stdin": {"offset": 3, "limit": 70_000},
                                     "offsets": {"3": 0}}),
    position(wire.OUTPUT, TYPED, wire.PTY, 0, b"$ ls\r\n"),
    position(wire.CREDIT, TYPED, wire.STDIN, 140_000),
    json_frame(wire.RESULT, BUSY, {"busy": True}),
    json_frame(wire.ENDED, TYPED, {**END, "sizes": {"3": 6}}),
    json_frame(wire.ENDED, STOPPED, {**END, "kind": "stopped", "signal": "SIGKILL"}),
    json_frame(wire.RESULT, LIMITS, {}),
)  # fmt: skip
NEWS = (
    position(wire.CREDIT, WATCH, wire.STDIN, 70_000),
    position(wire.OUTPUT, WATCH, wire.STDOUT, 0, b'["watching", "w"]\n'),
    position(wire.OUTPUT, WATCH, wire.STDOUT, 18, b'["unwatchable", "v", "limit"]\n'),
    position(wire.OUTPUT, WATCH, wire.STDOUT, 48, b'["changed", "w"]\n["resync"]\n'),
    position(wire.OUTPUT, WATCH, wire.STDOUT, 76, b'["gone", "w"]\n'),
    json_frame(wire.RESULT, WATCH, {}),
)
WHOLE = (
    position(wire.OUTPUT, ARCHIVE, wire.STDOUT, 0, b"PK"),
    json_frame(wire.RESULT, ARCHIVE, {"skipped": 1, "special": 0}),
    position(wire.OUTPUT, ARCHIVE_ALL, wire.STDOUT, 0, b"tar"),
    json_frame(wire.RESULT, ARCHIVE_ALL, {"skipped": 1, "special": 1}),
    position(wire.CREDIT, UNPACK, wire.STDIN, 70_000),
    json_frame(wire.RESULT, UNPACK, {"count": 1}),
    json_frame(wire.RESULT, FOLDER, {"entry": ["folder", 0, 1.5, 0o755, None]}),
    json_frame(wire.RESULT, RENAMED, {"entry": ["symlink", 1, 1.5, 0o777, "a"]}),
    json_frame(wire.RESULT, REMOVED, {}),
    position(wire.CREDIT, SKILLS, wire.STDIN, 70_000),
    json_frame(wire.RESULT, SKILLS, {"count": 1}),
)
TEMPLATES = (*FIRST, *TYPING, *NEWS, *WHOLE)
SEEDS = (
    encode(FIRST[5:6] + FIRST[7:10] + FIRST[14:15]),
    encode((*FIRST[10:12], json_frame(wire.ENDED, FOLLOWED, END | {"sizes": {"1": 5, "2": 1}}))),
    encode((FIRST[6], json_frame(wire.ENDED, FOLLOWED, END | {"sizes": {"1": 9, "2": 0}}))),
    encode((FIRST[13], FIRST[17], FIRST[16])),
    encode((FIRST[8], FIRST[18], FIRST[12], FIRST[19], FIRST[20])),
    encode(TYPING),
    encode(NEWS),
    encode(WHOLE),
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


def let_go() -> None:
    """Leave the process as it was before the first run."""
    _runner().close()
    _runner.cache_clear()
    sessions = logging.getLogger("sessions")
    for handler in [one for one in sessions.handlers if isinstance(one, _Complaints)]:
        sessions.removeHandler(handler)
    logging.getLogger("sessions.sandbox.connection").setLevel(logging.NOTSET)


async def _run(data: bytes) -> None:
    loop = asyncio.get_running_loop()
    unforeseen: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _loop, context: unforeseen.append(context))
    stream = HostileStream()
    stream.put(hello())
    channel = await open_channel(stream)
    tasks = [asyncio.ensure_future(call(channel)) for call in CALLS.values()]
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


async def _beside(main: Awaitable[None], other: Coroutine[Any, Any, None]) -> None:
    """`other` is over when `main` is; what it raises comes out where `main` raised nothing new."""
    task = asyncio.create_task(other)
    try:
        await main
    finally:
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, Exception) and not isinstance(outcome, BerthError):
            raise outcome


async def _fed(channel: GuestChannel) -> None:
    execution = await channel.exec(ExecRequest("fed", ("cat",), stdin=True))
    await _beside(_drain(execution), _feed(execution))


async def _feed(execution: Exec) -> None:
    await execution.write_stdin(b"i" * 100_000)
    await execution.close_stdin()


async def _followed(channel: GuestChannel) -> None:
    await _drain(await channel.exec(ExecRequest("followed", ("true",))))


async def _typed(channel: GuestChannel) -> None:
    request = ExecRequest("typed", ("sh",), stdin=True, pty=TerminalSize(80, 24))
    execution = await channel.exec(request)
    await _beside(_drain(execution), _type(execution))


async def _type(execution: Exec) -> None:
    assert await execution.stdin_offset() >= 0
    assert 0 <= execution.write_stdin_now(b"ls\r") <= 3
    await execution.resize(TerminalSize(100, 40))
    await execution.write_stdin(b"x" * 1000)


async def _stopped(channel: GuestChannel) -> None:
    execution = await channel.exec(ExecRequest("stopped", ("sleep", "9")))
    await execution.stop()
    await _drain(execution)


async def _drain(execution: Exec) -> None:
    at = {"stdout": -1, "stderr": -1, "pty": -1}
    async for item in execution:
        if isinstance(item, ExecOutput):
            assert item.data
            assert at[item.stream] in (-1, item.offset) or item.offset > at[item.stream]
            at[item.stream] = item.offset + len(item.data)
            await execution.ack(item.stream, item.offset + len(item.data))


async def _watch(channel: GuestChannel) -> None:
    async with channel.watch() as watch:
        await _beside(_look(watch), _tell(watch))


async def _tell(watch: FolderWatch) -> None:
    await watch.add("w")
    await watch.add("v")
    await watch.remove("v")


async def _look(watch: FolderWatch) -> None:
    async for event in watch:
        assert event.kind in get_args(WatchKind)
        assert bool(event.reason) <= (event.kind == "unwatchable")


async def _take(chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        assert chunk


async def _packed() -> AsyncIterator[bytes]:
    for _piece in range(2):
        yield bytes(40_000)


CALLS: Mapping[str, Callable[[GuestChannel], Awaitable[object]]] = {
    "exec": _fed,
    "exec, without input": _followed,
    "usage": lambda channel: channel.usage(),
    "list_dir": lambda channel: channel.list_dir("x"),
    "write_file": lambda channel: channel.write_file("u", b"u" * 100_000),
    "read_file": lambda channel: _take(channel.read_file("r")),
    "stat": lambda channel: channel.stat("s"),
    "exec, in a terminal": _typed,
    "exec, stopped": _stopped,
    "watch": _watch,
    "is_foreground_busy": lambda channel: channel.is_foreground_busy("typed"),
    "archive": lambda channel: _take(channel.archive("a", format="zip")),
    "archive_all": lambda channel: _take(channel.archive_all()),
    "unpack": lambda channel: channel.unpack(_packed()),
    "set_limits": lambda channel: channel.set_limits(disk_bytes=1 << 20),
    "make_dir": lambda channel: channel.make_dir("d"),
    "rename": lambda channel: channel.rename("s", "t"),
    "remove": lambda channel: channel.remove("t"),
    "add_skills": lambda channel: channel.add_skills(_packed()),
}
"""By the sandbox's verb, in the order of their ids."""
