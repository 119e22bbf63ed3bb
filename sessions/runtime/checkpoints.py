"""Fold SQLite's write-ahead log into the database beside the writers.

Left to itself, SQLite has the writer do so whose commit fills the log, and all others wait with it:
32 ms were measured for every 4 MiB, in the one thread that the whole process writes from.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections

logger = logging.getLogger(__name__)

EVERY_S = 0.25
"""Often, so that each is small: the disk syncs all of it before it takes new commits."""


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
    written_at = 0
    while True:
        await asyncio.sleep(EVERY_S)
        last_written_at = _log_written_at()
        if last_written_at == written_at:
            continue
        try:
            await asyncio.to_thread(_checkpoint)
        except DatabaseError as error:
            # The commits go on, and the limit of the connections applies.
            logger.warning("the database's log was not folded in: %s", error)
        else:
            written_at = last_written_at


def _log_written_at() -> int:
    try:
        return os.stat(f"{connection.settings_dict['NAME']}-wal").st_mtime_ns  # noqa: PTH116
    except FileNotFoundError:
        return 0


def _checkpoint() -> None:
    """As far as it goes without anybody waiting."""
    beside = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with beside.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        beside.close()
