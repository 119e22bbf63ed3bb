"""Fold SQLite's write-ahead log into the database beside the writers.

Left to itself, SQLite has the writer do so whose commit fills the log, and all others wait with it:
32 ms were measured for every 4 MiB, in the one thread that the whole process writes from.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections

logger = logging.getLogger(__name__)

EVERY_S = 0.1
"""Often, so that each is small: the disk syncs all of it before it takes new commits."""

SETTLED_NS = 1_000_000_000


@contextlib.asynccontextmanager
async def checkpoints() -> AsyncIterator[None]:
    """Make them meanwhile; nothing to do for other databases."""
    if connection.vendor != "sqlite":
        yield
        return
    task = asyncio.create_task(_checkpoint_again_and_again(), name="checkpoints")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _checkpoint_again_and_again() -> None:
    folded_at = 0
    has_failed = False
    while True:
        await asyncio.sleep(EVERY_S)
        written_at = _log_written_at()
        if written_at == folded_at:
            continue
        try:
            is_whole = await asyncio.to_thread(_checkpoint)
        except DatabaseError as error:
            # The commits go on, and the limit of the connections applies.
            if not has_failed:
                logger.warning("the database's log was not folded in: %s", error)
            has_failed = True
        else:
            # A write within the clock's step of the file system would not show.
            is_settled = time.time_ns() - written_at > SETTLED_NS
            folded_at = written_at if is_whole and is_settled else 0
            has_failed = False


def _log_written_at() -> int:
    try:
        return os.stat(f"{connection.settings_dict['NAME']}-wal").st_mtime_ns  # noqa: PTH116
    except FileNotFoundError:
        return 0


def _checkpoint() -> bool:
    """As far as it goes without anybody waiting; whether that was all."""
    beside = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with beside.cursor() as cursor:
            _, pages, folded = cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return bool(pages == folded)
    finally:
        beside.close()
