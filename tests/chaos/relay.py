"""Stands between Berth and the engine's socket, so that a run can cut, stall and refuse.

The engine itself notices nothing: a cut here is what a broken connection to a remote engine is.
"""

import asyncio
import contextlib
import random
from pathlib import Path

PIECE_BYTES = 256 * 1024


class Relay:
    """Listens at `address`; everything runs on the loop that called `start`."""

    def __init__(self, path: Path, engine: Path) -> None:
        self._path = path
        self._engine = engine
        self._open: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"unix://{self._path}"

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._relay, str(self._path))

    async def stop(self) -> None:
        """Refuse whoever comes, and cut everybody off."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut(1.0, random.Random())
        await asyncio.gather(*self._open, return_exceptions=True)

    def cut(self, share: float, rng: random.Random) -> int:
        """Cut connections wherever they are, in the middle of a frame too; how many it were."""
        chosen = [task for task in self._open if rng.random() < share]
        for task in chosen:
            task.cancel()
        return len(chosen)

    def stall(self) -> None:
        """Nothing passes any more, nobody is told."""
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        engine_writer: asyncio.StreamWriter | None = None
        try:
            engine_reader, engine_writer = await asyncio.open_unix_connection(str(self._engine))
            await asyncio.gather(
                self._copy(reader, engine_writer), self._copy(engine_reader, writer)
            )
        except (OSError, asyncio.CancelledError):
            pass  # cut by this run, or by one of the ends
        finally:
            self._open.discard(task)
            for one in (writer, engine_writer):
                if one is not None:
                    one.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE_BYTES):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
