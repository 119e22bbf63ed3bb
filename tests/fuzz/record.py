"""Record the seeds in `corpus/` from real traffic: `python -m tests.fuzz.record`.

Each scenario is one channel to a real guest. What the guest said is a seed for the host's end, what
the host said one for the guest's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from typing_extensions import override

from sessions.errors import InvalidInputError
from sessions.sandbox.base import ContainerSpec, DuplexStream, TerminalSize
from sessions.sandbox.channel import GuestChannel, open_channel
from sessions.sandbox.guest import wire
from sessions.sandbox.limits import Limits
from tests.fuzz.campaign import CORPUS
from tests.fuzz.frames import encode, parse
from tests.fuzz.targets import host_end
from tests.sandbox.child_backend import ChildBackend
from tests.sandbox.running import command, run, shell

MAX_SEED_BYTES = 4096


class Recording(DuplexStream):
    def __init__(self, stream: DuplexStream) -> None:
        self._stream = stream
        self.read_bytes = bytearray()
        self.written = bytearray()

    @override
    async def read(self) -> bytes:
        data = await self._stream.read()
        self.read_bytes += data
        return data

    @override
    async def write(self, data: bytes) -> None:
        self.written += data
        await self._stream.write(data)

    @override
    async def close(self) -> None:
        await self._stream.close()


async def fed(channel: GuestChannel) -> None:
    execution = await channel.exec(shell("cat; echo e >&2", stdin=True))
    await execution.write_stdin(b"some input\n")
    await execution.close_stdin()
    async for _piece in execution:
        pass


async def followed(channel: GuestChannel) -> None:
    await run(channel, shell("seq 20; exit 3", keep_log=True))
    await run(channel, command("no-such-program"))
    await run(channel, shell("kill -TERM $$"))


async def stopped(channel: GuestChannel) -> None:
    execution = await channel.exec(shell("echo up; sleep 50"))
    await anext(aiter(execution))
    await execution.stop()
    async for _piece in execution:
        pass
    await run(channel, shell("sleep 50", timeout_s=0.05))


async def files(channel: GuestChannel) -> None:
    await channel.write_file("folder/a", b"content")
    await channel.list_dir("folder")
    await channel.stat("folder/a")
    assert [chunk async for chunk in channel.read_file("folder/a", offset=2)]
    assert [chunk async for chunk in channel.archive("folder", format="tar")]
    await channel.rename("folder/a", "folder/b")
    await channel.remove("folder")
    await channel.usage(with_programs=True)


async def typed(channel: GuestChannel) -> None:
    request = shell("read line; echo got $line", stdin=True, pty=TerminalSize(80, 24))
    execution = await channel.exec(request)
    assert not await channel.is_foreground_busy(request.exec_id)
    await execution.resize(TerminalSize(100, 40))
    await execution.write_stdin(b"it\n")
    async for _piece in execution:
        pass


async def watched(channel: GuestChannel) -> None:
    await channel.make_dir("seen")
    async with channel.watch() as watch:
        await watch.add("seen")
        await watch.add("not there")
        news = aiter(watch)
        assert {(await anext(news)).kind for _add in range(2)} == {"watching", "unwatchable"}
        await channel.write_file("seen/a", b"new")
        assert (await anext(news)).kind == "changed"
        await watch.remove("seen")
    await channel.remove("seen")


async def archived(channel: GuestChannel) -> None:
    await channel.set_limits(disk_bytes=1 << 30)
    await channel.write_file("a", b"content")

    async def whole() -> AsyncIterator[bytes]:
        yield b"".join([chunk async for chunk in channel.archive_all()])[:MAX_SEED_BYTES]

    with suppress(InvalidInputError):  # cut where a seed ends
        await channel.unpack(whole())
    await channel.remove("a")


Scenario = Callable[[GuestChannel], Awaitable[None]]
SCENARIOS: tuple[Scenario, ...] = (fed, followed, stopped, files, typed, watched, archived)
CALLS: dict[Scenario, tuple[int, ...]] = {
    typed: (host_end.TYPED, host_end.BUSY),
    watched: (host_end.FOLDER, host_end.WATCH, host_end.UPLOAD, host_end.REMOVED),
    archived: (host_end.LIMITS, host_end.UPLOAD, host_end.UNPACK, host_end.ARCHIVE_ALL),
}
"""Those of the host's target that stand for a scenario's, in the order of their ids."""


async def record() -> None:
    backend = ChildBackend()
    container = await backend.create(ContainerSpec("record", "child", "record", Limits()))
    for scenario in SCENARIOS:
        stream = Recording(await backend.open(container))
        channel = await open_channel(stream)
        await scenario(channel)
        await channel.close()
        _store("guest_end", scenario.__name__, bytes(stream.written))
        # The target's host is greeted already.
        _store("host_end", scenario.__name__, _answers(scenario, bytes(stream.read_bytes)))
        _store("pieces", scenario.__name__, bytes(stream.read_bytes))
    await backend.close()


def _answers(scenario: Scenario, data: bytes) -> bytes:
    """To those calls that are open in the target."""
    frames = [frame for frame in parse(data)[0] if frame.kind != wire.HELLO]
    idents = dict(enumerate(CALLS.get(scenario, ()), 1))
    return encode([replace(frame, ident=idents.get(frame.ident, frame.ident)) for frame in frames])


def _store(target: str, name: str, data: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    frames = [frame for frame in parse(data)[0] if len(frame.payload) <= MAX_SEED_BYTES]
    while len(encode(frames)) > MAX_SEED_BYTES:
        frames.pop()
    (folder / name).write_bytes(encode(frames))


if __name__ == "__main__":
    asyncio.run(record())
