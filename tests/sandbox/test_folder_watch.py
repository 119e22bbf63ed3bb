"""A folder watch tells of every change, of many at once, and of its own blindness."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from sessions.errors import InvalidInputError, ProtocolError, SandboxError
from sessions.sandbox.base import FolderWatch, Sandbox, WatchEvent
from sessions.sandbox.channel import open_channel
from sessions.sandbox.guest import wire
from tests.sandbox.hostile_guest import HostileStream, hello, json_frame, output
from tests.sandbox.running import run, shell

COALESCE_S = 0.075
QUIET_S = 0.4


class News:
    """What a watch tells, one after the other."""

    def __init__(self, watch: FolderWatch) -> None:
        self.watch = watch
        self._events: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self.watch:
            self._events.put_nowait(event)

    async def next(self) -> tuple[str, str]:
        event = await asyncio.wait_for(self._events.get(), 30)
        return event.kind, event.path

    async def refusal(self) -> str:
        event = await asyncio.wait_for(self._events.get(), 30)
        assert event.kind == "unwatchable", event
        return event.reason

    async def rest(self) -> list[tuple[str, str]]:
        """All until nothing comes for a while."""
        seen: list[tuple[str, str]] = []
        try:
            while True:
                event = await asyncio.wait_for(self._events.get(), QUIET_S)
                seen.append((event.kind, event.path))
        except TimeoutError:
            return seen

    async def until(self, *wanted: tuple[str, str]) -> None:
        missing = set(wanted)
        while missing:
            missing.discard(await self.next())

    async def end(self) -> BaseException | None:
        await asyncio.wait([self._reading], timeout=10)
        return self._reading.exception()

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def watching(sandbox: Sandbox, *paths: str) -> AsyncIterator[News]:
    async with sandbox.watch() as watch:
        news = News(watch)
        for path in paths:
            await watch.add(path)
            assert await news.next() == ("watching", path)
        yield news
        await news.close()


@pytest.mark.parametrize(
    "script",
    [
        "echo x > new",
        "echo more >> old",
        "truncate -s 0 old",
        "chmod 600 old",
        "touch old",
        "mv old renamed",
        "mv old elsewhere/",
        "mv elsewhere/other .",
        "ln old again",
        "ln -s nowhere link",
        "rm old",
        "mkdir fresh",
        "rmdir empty",
        "printf x > \"$(printf 'not\\377utf8\\nline')\"",
    ],
)
async def test_every_kind_of_change_is_told(sandbox, script):
    await run(sandbox, shell("mkdir elsewhere empty; echo x > old; echo y > elsewhere/other"))
    async with watching(sandbox, "") as news:
        outcome = await run(sandbox, shell(script))
        assert outcome.ending.exit_code == 0, outcome.stderr
        assert set(await news.rest()) == {("changed", "")}


async def test_only_watched_folders_are_told_of_and_each_by_its_own_name(sandbox):
    await run(sandbox, shell("mkdir -p a/deep b"))
    async with watching(sandbox, "", "a") as news:
        await run(sandbox, shell("echo x > a/new; echo x > a/deep/new; echo x > b/new"))
        assert set(await news.rest()) == {("changed", "a")}


async def test_looking_at_files_is_no_change(sandbox):
    await run(sandbox, shell("echo x > file; mkdir folder"))
    async with watching(sandbox, "", "folder") as news:
        await sandbox.list_dir("")
        await run(sandbox, shell("cat file; ls -la folder"))
        assert await news.rest() == []


async def test_an_upload_is_told_of_when_it_is_whole(sandbox):
    may_end = asyncio.Event()

    async def slow():
        yield b"begun"
        await may_end.wait()
        yield b"ended"

    async with watching(sandbox, "") as news:
        upload = asyncio.create_task(sandbox.write_file("file", slow()))
        assert await news.rest() == []
        may_end.set()
        await upload
        assert set(await news.rest()) == {("changed", "")}


async def test_ten_thousand_files_make_a_handful_of_news(sandbox):
    await run(sandbox, shell("mkdir many"))
    async with watching(sandbox, "many") as news:
        started_at = time.monotonic()
        await run(sandbox, shell("cd many; seq 10000 | xargs touch", timeout_s=60))
        seen = await news.rest()
        most = (time.monotonic() - started_at) / COALESCE_S + 1
        told = [event for event in seen if event == ("changed", "many")]
        assert 1 <= len(told) <= most
        assert set(seen) <= {("changed", "many"), ("resync", "")}


async def test_a_removed_folder_is_gone_and_can_be_watched_anew(sandbox):
    await run(sandbox, shell("mkdir -p a/deep"))
    async with watching(sandbox, "", "a", "a/deep") as news:
        await run(sandbox, shell("rm -r a"))
        seen = await news.rest()
        assert {("gone", "a"), ("gone", "a/deep"), ("changed", "")} <= set(seen)
        await news.watch.add("a")
        assert await news.refusal() == "entry_not_found"
        await run(sandbox, shell("mkdir a"))
        await news.watch.add("a")
        await news.until(("watching", "a"))
        await news.rest()
        await run(sandbox, shell("echo x > a/new"))
        assert set(await news.rest()) == {("changed", "a")}


async def test_folders_below_one_that_moved_are_gone_too(sandbox):
    await run(sandbox, shell("mkdir -p a/b/c; mkdir ab"))
    async with watching(sandbox, "", "a", "a/b", "a/b/c", "ab") as news:
        await run(sandbox, shell("mv a z; mkdir -p a/b/c"))
        seen = await news.rest()
        assert {("gone", "a"), ("gone", "a/b"), ("gone", "a/b/c")} <= set(seen)
        assert ("gone", "ab") not in seen
        await run(sandbox, shell("echo x > z/b/c/new"))
        assert await news.rest() == [], "what moved away is not what was asked for"


async def test_a_folder_no_longer_wanted_is_quiet(sandbox):
    await run(sandbox, shell("mkdir a"))
    async with watching(sandbox, "", "a") as news:
        await news.watch.remove("a")
        await news.watch.add("missing")
        assert await news.refusal() == "entry_not_found"
        await run(sandbox, shell("echo x > a/new"))
        assert await news.rest() == []


async def test_two_paths_to_one_folder_are_both_told(sandbox):
    await run(sandbox, shell("mkdir real; ln -s real link"))
    async with watching(sandbox, "real", "link") as news:
        await run(sandbox, shell("echo x > real/new"))
        assert set(await news.rest()) == {("changed", "real"), ("changed", "link")}
        await news.watch.remove("link")
        await run(sandbox, shell("echo x > real/newer"))
        assert set(await news.rest()) == {("changed", "real")}


@pytest.mark.parametrize("path", ["..", "a/../..", "/etc", "out", "out/ssl", "x\0y"])
async def test_nothing_outside_is_watched(sandbox, path):
    await run(sandbox, shell("mkdir a; ln -s /etc out"))
    async with watching(sandbox) as news:
        await news.watch.add(path)
        assert await news.refusal() == "outside_workspace"


async def test_a_link_that_is_turned_elsewhere_is_not_followed_there(sandbox):
    await run(sandbox, shell("mkdir real other; ln -s real link"))
    async with watching(sandbox, "", "link") as news:
        await run(sandbox, shell("ln -sfn /etc link"))
        await news.until(("gone", "link"))
        await news.watch.add("link")
        assert await news.refusal() == "outside_workspace"


@pytest.mark.parametrize("path", ["file", "file/below", "missing", "\ud800"])
async def test_what_is_no_folder_is_not_there(sandbox, path):
    await run(sandbox, shell("echo x > file"))
    async with watching(sandbox) as news:
        await news.watch.add(path)
        assert await news.refusal() == "entry_not_found"


async def test_a_folder_that_may_not_be_read_is_refused(sandbox):
    await run(sandbox, shell("mkdir -m 0 closed"))
    async with watching(sandbox) as news:
        await news.watch.add("closed")
        assert await news.refusal() == "file_error"


async def test_hostile_names_come_back_as_they_were_asked(sandbox):
    await run(sandbox, shell('mkdir "$(printf \'a\\nb\\377"]\')"'))
    path = 'a\nb\udcff"]'
    async with watching(sandbox, path) as news:
        await sandbox.write_file(path + "/new", b"x")
        assert set(await news.rest()) == {("changed", path)}


async def test_no_more_than_two_hundred_folders(sandbox):
    await run(sandbox, shell("for n in $(seq 201); do mkdir $n; done"))
    async with watching(sandbox, *map(str, range(1, 201))) as news:
        await news.watch.add("201")
        assert await news.refusal() == "limit"
        await news.watch.remove("7")
        await news.watch.add("201")
        await news.until(("watching", "201"))


async def test_many_looks_at_deep_folders_keep_none_open(child):
    await run(child.channel, shell("mkdir -p a/b/c/d"))
    async with watching(child.channel, "a/b/c/d") as news:
        process = watcher(child)
        before = process.num_fds()
        for _ in range(50):
            await news.watch.add("a/b/c/d")
            await news.until(("watching", "a/b/c/d"))
        assert process.num_fds() == before


def watcher(child) -> psutil.Process:
    """The process of the one watch."""
    guest = psutil.Process(child.backend.guest(child.container_id).process.pid)
    (process,) = guest.children()
    return process


async def test_events_that_were_lost_are_owned_up_to(child):
    """The kernel queues 16,384 events; each file here makes three."""
    await run(child.channel, shell("mkdir many doomed"))
    async with watching(child.channel, "", "many", "doomed") as news:
        process = watcher(child)
        process.suspend()
        await run(child.channel, shell("rmdir doomed; cd many; seq 9000 | xargs touch"))
        await run(child.channel, shell("mkdir hidden; rmdir hidden"))
        process.resume()
        seen = await news.rest()
        assert ("resync", "") in seen
        assert ("gone", "doomed") in seen
        await run(child.channel, shell("echo x > many/after"))
        assert set(await news.rest()) == {("changed", "many")}


async def test_a_host_that_does_not_read_misses_nothing(child):
    """One that reads late is told once of all there was; the process does not grow meanwhile."""
    await run(child.channel, shell("mkdir many"))
    async with child.channel.watch() as watch:
        await watch.add("many")
        await asyncio.sleep(0.2)
        before = watcher(child).memory_info().rss
        for _ in range(5):
            await run(child.channel, shell("cd many; seq 3000 | xargs touch; rm -r *"))
        assert watcher(child).memory_info().rss - before < 2 << 20
        news = News(watch)
        assert ("changed", "many") in await news.rest()
        await news.close()


async def test_a_watch_ends_with_its_context_and_with_its_channel(child):
    async with watching(child.channel, ""):
        process = watcher(child)
    await asyncio.to_thread(process.wait, 10)
    other = await open_channel(await child.backend.open(child.container_id))
    async with watching(other, ""):
        process = watcher(child)
        await other.close()
        await asyncio.to_thread(process.wait, 10)


async def test_a_watch_that_is_killed_inside_says_so(child):
    async with child.channel.watch() as watch:
        news = News(watch)
        await watch.add("")
        await news.until(("watching", ""))
        os.kill(watcher(child).pid, signal.SIGKILL)
        assert isinstance(await news.end(), SandboxError)
    assert child.channel.is_open


LIES = {
    "not JSON": b"nonsense\n",
    "no list": b"{}\n",
    "nothing": b"[]\n",
    "an unknown kind": b'["melted",""]\n',
    "a kind of another type": b'[["changed"],""]\n',
    "a path of another type": b'["changed",5]\n',
    "no path": b'["changed"]\n',
    "too much": b'["changed","a","b"]\n',
    "no reason": b'["unwatchable","a"]\n',
    "no end": b'["' + b"x" * 70_000,
    "nested too deeply": b"[" * 50_000 + b"\n",
}


async def all_news(channel, stream: HostileStream, answer: bytes) -> list[WatchEvent]:
    async with channel.watch() as watch:
        stream.put(answer)
        return [event async for event in watch]


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_a_lie_in_the_news_closes_the_channel(lie):
    stream = HostileStream()
    stream.put(hello())
    channel = await open_channel(stream)
    with pytest.raises(ProtocolError):
        await all_news(channel, stream, output(1, 1, 0, lie))
    assert not channel.is_open
    await channel.close()


async def test_a_guest_without_the_verb_says_so():
    stream = HostileStream()
    stream.put(hello())
    channel = await open_channel(stream)
    refusal = {"code": "bad_request", "message": "no such verb"}
    with pytest.raises(InvalidInputError, match="no such verb"):
        await all_news(channel, stream, json_frame(wire.ERROR, 1, refusal))
    assert channel.is_open
    await channel.close()
