"""SQLite's log is folded into the database while it is written to."""

import asyncio
from pathlib import Path

import pytest
from django.db import connection

from sessions.events import log
from sessions.events.types import Output
from sessions.models import Session
from sessions.runtime import checkpoints

PIECE = bytes(64 * 1024)


def database_size() -> int:
    return Path(connection.settings_dict["NAME"]).stat().st_size


@pytest.mark.skipif(connection.vendor != "sqlite", reason="for SQLite alone")
async def test_what_was_written_reaches_the_database_s_file(
    agent_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.01)
    before = database_size()
    async with checkpoints.checkpoints():
        for number in range(32):
            body = Output("c", "stdout", number * len(PIECE), PIECE)
            await log.append(agent_session.id, [body])
        async with asyncio.timeout(10):
            while database_size() < before + 32 * len(PIECE):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_it_ends_with_its_process(agent_session: Session) -> None:
    async with checkpoints.checkpoints():
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "checkpoints"]
    assert task.cancelled()
