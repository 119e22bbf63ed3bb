"""The part of a viewer's socket that tells of changes in the folders on their page."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from sessions.runtime.folder_watches import Viewer
from sessions.runtime.wiring import runtime
from sessions.streaming.protocol import folders_to_json

PAUSE_S = 0.05
"""Between two frames: what changes meanwhile comes in one."""


class FolderTeller:
    """Watches nothing until it is asked to. `close` before the socket goes."""

    def __init__(
        self, session_id: uuid.UUID, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        self._session_id = session_id
        self._send = send
        self._viewer: Viewer | None = None
        self._task: asyncio.Task[None] | None = None

    async def watch(self, folders: frozenset[str]) -> None:
        if not folders:
            await self.close()
        elif self._viewer is not None:
            self._viewer.watch(folders)
        else:
            await self.close()
            self._task = asyncio.create_task(self._run(folders))

    async def _run(self, folders: frozenset[str]) -> None:
        with runtime().folder_watches.viewer(self._session_id) as viewer:
            self._viewer = viewer
            viewer.watch(folders)
            try:
                while True:
                    await self._send(folders_to_json(await viewer.news()))
                    await asyncio.sleep(PAUSE_S)
            finally:
                self._viewer = None

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
