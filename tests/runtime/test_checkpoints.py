"""SQLite's log is folded into the database while it is written to."""

import asyncio
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import connection

from sessions.events import log
from sessions.events.types import Output
from sessions.models import Session
from sessions.runtime import checkpoints

MARK = uuid.uuid4().bytes


def marks_in_the_file() -> int:
    return Path(connection.settings_dict["NAME"]).read_bytes().count(MARK)


async def test_what_was_written_reaches_the_database_s_file(
    agent_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.01)
    async with checkpoints.checkpoints():
        for number in range(32):
            body = Output("c", "stdout", number * len(MARK), MARK)
            await log.append(agent_session.id, [body])
        async with asyncio.timeout(10):
            while marks_in_the_file() < 32:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_it_ends_with_its_process(agent_session: Session) -> None:
    async with checkpoints.checkpoints():
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "checkpoints"]
    assert task.cancelled()


async def test_other_databases_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "connection", SimpleNamespace(vendor="postgresql"))
    async with checkpoints.checkpoints():
        assert [task for task in asyncio.all_tasks() if task.get_name() == "checkpoints"] == []
