"""How a process of Berth starts, keeps its supervisor alive, and ends."""

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from sessions.runtime.process import Runtime
from sessions.runtime.supervisor import Supervisor

logger = logging.getLogger(__name__)

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0
STEADY_S = 60.0
"""A supervisor that ran this long starts again at once when it ends."""
CLOSE_TIMEOUT_S = 8.0
"""The longest a process takes to end after it was asked to."""


class StopSignals:
    """The first SIGINT or SIGTERM asks for an orderly end, the second ends the process at once."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._asked.is_set():
            os._exit(128 + number)
        self._asked.set()
        # A thread that hangs in a call to the engine must not hold the process.
        last_resort = threading.Timer(CLOSE_TIMEOUT_S, _give_up, [asyncio.get_running_loop()])
        last_resort.daemon = True
        last_resort.start()

    async def wait(self) -> None:
        await self._asked.wait()


def _give_up(loop: asyncio.AbstractEventLoop) -> None:
    """Say what did not end, then end all the same."""
    waiting = [str(task.get_coro()) for task in asyncio.all_tasks(loop)]
    threads = [thread.name for thread in threading.enumerate()]
    logger.error("stopping took too long; still waiting: %s; threads: %s", waiting, threads)
    os._exit(1)


def pending_migrations() -> list[str]:
    """Names of the migrations the database still lacks."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


@contextlib.asynccontextmanager
async def agents(runtime: Runtime, *, max_running_turns: int) -> AsyncIterator[None]:
    """Run the supervisor and the embedded model meanwhile; at the end let go of both."""
    # From now on its silence is a fault, also when it never makes its first pass.
    runtime.supervisor_seen()
    keeper = asyncio.create_task(_keep_supervisor(runtime, max_running_turns))
    try:
        await runtime.models.start()
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def _keep_supervisor(runtime: Runtime, max_running_turns: int) -> None:
    """Start the supervisor again whenever it ends by itself, waiting longer each time."""
    backoff_s = FIRST_BACKOFF_S
    while True:
        started_at = time.monotonic()
        try:
            await Supervisor(runtime, max_running_turns=max_running_turns).run()
        except Exception:
            logger.exception("the supervisor failed; it starts again in %.0f s", backoff_s)
        else:
            logger.error("the supervisor ended; it starts again in %.0f s", backoff_s)
        if time.monotonic() - started_at > STEADY_S:
            backoff_s = FIRST_BACKOFF_S
        await asyncio.sleep(backoff_s)
        backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
