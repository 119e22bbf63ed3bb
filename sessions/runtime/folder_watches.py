"""Which folders of which session somebody looks at, and the one watch that serves them all.

A watch never makes or wakes a container: it uses the channel that is open, and waits for one.
Where folders cannot be watched the viewer is told, and asks from time to time instead.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sessions.errors import BerthError
from sessions.sandbox.base import FolderWatch, Sandbox, WatchEvent

logger = logging.getLogger(__name__)

MAX_FOLDERS = 200
"""Of one session, all viewers together; as many as the guest takes."""
CHANNEL_LOOK_S = 0.5
PACE_S = 0.02
"""A guest that says everything is gone, again and again, is not asked again more often."""
RETRY_S = 5.0
"""After a watch failed on an open channel."""
_MISSING = frozenset({"entry_not_found", "outside_workspace"})
"""Reasons for which there is nothing to watch, so that asking finds nothing either."""

ChannelNow = Callable[[uuid.UUID], Sandbox | None]


@dataclass(frozen=True, slots=True)
class FolderNews:
    """What to look at again. `is_watched` is false where changes may go untold from now on."""

    changed: frozenset[str]
    is_all: bool
    is_watched: bool


class Viewer:
    """One page's interest. What it has not fetched yet is kept as one set of folders."""

    def __init__(self, watch: "SessionWatch") -> None:
        self.folders: frozenset[str] = frozenset()
        self._watch = watch
        self._changed: set[str] = set()
        self._is_all = False
        self._is_watched = False
        self._told = asyncio.Event()

    def watch(self, folders: frozenset[str]) -> None:
        """From now on these, and no others."""
        fresh = folders - self.folders
        self.folders = folders
        self._changed &= folders
        self._watch.joined(self, fresh)

    async def news(self) -> FolderNews:
        """Waits until there are any."""
        await self._told.wait()
        self._told.clear()
        news = FolderNews(frozenset(self._changed), self._is_all, self._is_watched)
        self._changed.clear()
        self._is_all = False
        return news

    def tell(self, path: str) -> None:
        if path in self.folders:
            self._changed.add(path)
            self._told.set()

    def tell_all(self) -> None:
        self._is_all = True
        self._told.set()

    def say_whether_watched(self, is_watched: bool) -> None:
        if is_watched != self._is_watched:
            self._is_watched = is_watched
            self._told.set()


class SessionWatch:
    """The watch of one session, for as long as it has viewers."""

    def __init__(self, session_id: uuid.UUID, channel_now: ChannelNow) -> None:
        self.viewers: set[Viewer] = set()
        self._session_id = session_id
        self._channel_now = channel_now
        self._stirred = asyncio.Event()
        self._asked: set[str] = set()
        """Folders the guest watches, or was asked to."""
        self._refused: dict[str, str] = {}
        """Folders it does not watch, and why."""
        self._is_live = False

    def stir(self) -> None:
        """What is wanted has changed."""
        self._stirred.set()

    def joined(self, viewer: Viewer, folders: frozenset[str]) -> None:
        """What another viewer has watched already may have changed since this one listed it."""
        for path in folders & self._asked:
            viewer.tell(path)
        self._tell_state()
        self.stir()

    def _wanted(self) -> set[str]:
        folders = set[str]().union(*(viewer.folders for viewer in self.viewers))
        # Those above come first: without them a folder's being moved goes unseen.
        return set(sorted(folders, key=lambda path: (path.count("/"), path))[:MAX_FOLDERS])

    async def run(self) -> None:
        while True:
            channel = self._channel_now(self._session_id)
            if channel is not None and self._wanted() and not await self._serve(channel):
                await asyncio.sleep(RETRY_S)
            else:
                await asyncio.sleep(CHANNEL_LOOK_S)

    async def _serve(self, channel: Sandbox) -> bool:
        """As long as the channel lives and something is wanted; false after another failure."""
        try:
            async with channel.watch() as watch:
                await self._follow(watch)
        except BerthError as error:
            logger.info("session %s: folders unwatched: %s", self._session_id, error.message)
            return not channel.is_open
        except Exception:  # top of a task: logged, and tried again
            logger.exception("session %s: the folder watch failed", self._session_id)
            return False
        finally:
            self._forget_all()
        return True

    def _forget_all(self) -> None:
        self._asked.clear()
        self._refused.clear()
        self._is_live = False
        self._tell_state()

    async def _follow(self, watch: FolderWatch) -> None:
        """Until nobody wants anything. Raises: whatever ends the watch."""
        reader = asyncio.create_task(self._read(watch))
        reader.add_done_callback(lambda _: self.stir())
        try:
            while not reader.done() and (wanted := self._wanted()):
                self._stirred.clear()
                await self._adjust(watch, wanted)
                await asyncio.sleep(PACE_S)
                await self._stirred.wait()
            if reader.done():
                reader.result()
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _adjust(self, watch: FolderWatch, wanted: set[str]) -> None:
        self._refused = {path: why for path, why in self._refused.items() if path in wanted}
        for path in self._asked - wanted:
            self._asked.discard(path)
            await watch.remove(path)
        for path in sorted(wanted - self._asked - self._refused.keys()):
            self._asked.add(path)
            await watch.add(path)
        self._tell_state()

    # News

    async def _read(self, watch: FolderWatch) -> None:
        async for event in watch:
            self._is_live = True
            self._take(event)
            self._tell_state()

    def _take(self, event: WatchEvent) -> None:
        if event.kind == "resync":
            self._refused.clear()
            self.stir()
            for viewer in self.viewers:
                viewer.tell_all()
            return
        if event.kind == "unwatchable":
            self._asked.discard(event.path)
            if event.path in self._wanted():
                self._refused[event.path] = event.reason
        elif event.kind == "gone":
            # The name may lead to another folder already, which is then watched instead.
            self._asked.discard(event.path)
            self.stir()
        for viewer in self.viewers:
            viewer.tell(event.path)
        if event.kind in ("changed", "gone"):
            self._try_again_below(event.path)

    def _try_again_below(self, path: str) -> None:
        """A folder that was not there may have been made."""
        refused = [known for known in self._refused if _parent(known) == path]
        for known in refused:
            del self._refused[known]
        if refused:
            self.stir()

    def _tell_state(self) -> None:
        wanted = self._wanted()
        for viewer in self.viewers:
            blind = any(
                path not in wanted or self._refused.get(path, "entry_not_found") not in _MISSING
                for path in viewer.folders
            )
            viewer.say_whether_watched(self._is_live and not blind)


class FolderWatches:
    """Those of this process."""

    def __init__(self, channel_now: ChannelNow) -> None:
        self._channel_now = channel_now
        self._watches: dict[uuid.UUID, tuple[SessionWatch, asyncio.Task[None]]] = {}

    @contextmanager
    def viewer(self, session_id: uuid.UUID) -> Iterator[Viewer]:
        """Somebody who looks at this session's folders, while the context lasts."""
        if session_id not in self._watches:
            made = SessionWatch(session_id, self._channel_now)
            task = asyncio.create_task(made.run(), name=f"folder-watch-{session_id}")
            self._watches[session_id] = made, task
        watch, task = self._watches[session_id]
        viewer = Viewer(watch)
        watch.viewers.add(viewer)
        try:
            yield viewer
        finally:
            watch.viewers.discard(viewer)
            watch.stir()
            if not watch.viewers:
                del self._watches[session_id]
                task.cancel()

    async def aclose(self) -> None:
        tasks = [task for _, task in self._watches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _parent(path: str) -> str:
    return path.rpartition("/")[0] if path else "/"
