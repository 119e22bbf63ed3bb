"""Work that is carried to its end even when whoever asked for it goes away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_carrying: set[asyncio.Task[Any]] = set()
"""The loop itself keeps no task alive."""


async def carried(work: Coroutine[Any, Any, T]) -> T:
    """Its result. Raises: what it raises, to whoever still waits."""
    task = asyncio.create_task(work)
    _carrying.add(task)
    task.add_done_callback(_done)
    return await asyncio.shield(task)


def _done(task: asyncio.Task[Any]) -> None:
    """Its error is raised to whoever waits; when they went away it is nobody's."""
    _carrying.discard(task)
    if not task.cancelled():
        task.exception()
