"""Indexes the files of vector stores, one at a time, and removes what was deleted from them.

The rows say what is left to do: a process that dies leaves its file claimed under its name, and the
next one frees what no process holds any more and begins those files anew.
"""

import asyncio
import logging

from django.db import DatabaseError

from sessions import services
from sessions.events import bus
from sessions.models import VectorStoreFile
from sessions.runtime.leases import is_holder_dead, lease_name
from sessions.search.embedding import packed
from sessions.search.extract import ErrorCode, ExtractError, FilePieces
from sessions.search.pieces import Piece

logger = logging.getLogger(__name__)

LOOK_S = 5.0
PIECES_AT_ONCE = 64
"""Written in one transaction."""
MAX_TRIES = 3
"""A file that the process died of so often is given up."""
_FAILED: tuple[ErrorCode, str] = ("server_error", "Something in Berth itself went wrong.")


class Indexer:
    """`run` works until it is cancelled, and never raises but for that."""

    def __init__(self) -> None:
        self._lease = lease_name()
        self._last_owner: int | None = None

    async def run(self) -> None:
        try:
            async with bus.listen(services.INDEXING_TOPIC) as waiter:
                while True:
                    try:
                        await self.work()
                    except Exception:
                        logger.exception("a pass over the vector stores failed")
                    await waiter.wait(LOOK_S)
        finally:
            await services.vector_file_release(lease=self._lease, has_died=False)

    async def work(self) -> None:
        """All that there is to do."""
        # Of a pass that failed: this process works on nothing at the moment.
        await services.vector_file_release(lease=self._lease, has_died=True)
        await _free_orphans()
        await services.vector_stores_expire()
        await services.vector_stores_purge()
        while file := await services.vector_file_claim(
            lease=self._lease, other_than=self._last_owner
        ):
            self._last_owner = file.store.owner_id
            await self._index(file)

    async def _index(self, file: VectorStoreFile) -> None:
        error: tuple[ErrorCode, str] | None = None
        usage = 0
        try:
            if file.tries > MAX_TRIES:
                raise ExtractError(*_FAILED)
            await _forget_pieces(file)  # of an earlier try
            usage = await self._store_pieces(file)
        except ExtractError as refused:
            error = (refused.code, refused.message)
        except FileNotFoundError:
            error = ("invalid_file", "The file is gone.")
        except DatabaseError:
            raise  # which may pass; the file is tried again
        except Exception:
            logger.exception("file %s of vector store %s failed", file.file_id, file.store_id)
            error = _FAILED
        if error is not None:
            await _forget_pieces(file)
        await services.vector_file_end(
            file=file, lease=self._lease, usage_bytes=usage, error=error
        )

    async def _store_pieces(self, file: VectorStoreFile) -> int:
        """How much its pieces take. Raises: ExtractError, OSError."""
        assert file.file is not None
        found = await asyncio.to_thread(
            FilePieces,
            services.stored_file_path(file.file.id),
            file.file.filename,
            max_tokens=file.max_chunk_tokens,
            overlap_tokens=file.chunk_overlap_tokens,
        )
        count = usage = 0
        try:
            while some := await asyncio.to_thread(found.take, PIECES_AT_ONCE):
                usage += await self._store(file, count, some)
                count += len(some)
        finally:
            found.kill()  # first, for a thread may wait for it
            await asyncio.shield(asyncio.to_thread(found.close))
        return usage

    async def _store(self, file: VectorStoreFile, first: int, some: list[Piece]) -> int:
        block = packed([piece.vectors for piece in some])
        is_wanted = await services.vector_file_add_pieces(
            file=file,
            first=first,
            texts=[piece.text for piece in some],
            block=block,
            lease=self._lease,
        )
        if not is_wanted:
            raise ExtractError("server_error", "It was taken back while it was read.")
        return len(block.vectors) + sum(len(piece.text.encode()) for piece in some)


async def _forget_pieces(file: VectorStoreFile) -> None:
    while await services.vector_file_forget_some(file_id=file.id):
        pass  # others write in between


async def _free_orphans() -> None:
    """Files that processes held which are gone."""
    rows = VectorStoreFile.objects.filter(status=VectorStoreFile.Status.IN_PROGRESS)
    holders = rows.exclude(claimed_by="").values_list("claimed_by", "claimed_at").distinct()
    async for lease, since in holders:
        if await is_holder_dead(lease, since=since):
            await services.vector_file_release(lease=lease, has_died=True)
