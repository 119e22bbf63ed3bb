"""How far logs have grown, of many at once."""

import asyncio
import uuid
from collections.abc import Collection

import pytest

from sessions.events import heads, log
from sessions.events.follow import follow
from sessions.events.types import Notice
from sessions.models import Session


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[set[uuid.UUID]]:
    """The ids of each query that was made."""
    made: list[set[uuid.UUID]] = []
    read = heads._read

    async def noted(session_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
        made.append(set(session_ids))
        return await read(session_ids)

    monkeypatch.setattr(heads, "_read", noted)
    return made


async def test_many_questions_become_one_query(
    agent_session: Session, unknown_id: uuid.UUID, queries: list[set[uuid.UUID]]
) -> None:
    last = (await log.read(agent_session.id))[-1].seq
    ids = [agent_session.id] * 5 + [unknown_id] * 2
    answers = await asyncio.gather(*(heads.last_seq(one) for one in ids))
    assert answers == [last] * 5 + [None] * 2
    assert queries == [{agent_session.id, unknown_id}]


async def test_an_answer_is_as_of_after_the_question(agent_session: Session) -> None:
    before = await heads.last_seq(agent_session.id)
    await log.append(agent_session.id, [Notice("info", "one more")])
    assert await heads.last_seq(agent_session.id) == (before or 0) + 1


async def test_one_who_leaves_takes_nothing_from_the_others(agent_session: Session) -> None:
    leaving = asyncio.create_task(heads.last_seq(agent_session.id))
    staying = asyncio.create_task(heads.last_seq(agent_session.id))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is not None


async def test_an_error_reaches_all_who_asked_and_the_next_question_is_asked_anew(
    agent_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(session_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
        raise ConnectionError("no database")

    with monkeypatch.context() as patched:
        patched.setattr(heads, "_read", fails)
        answers = await asyncio.gather(
            *(heads.last_seq(agent_session.id) for _ in range(3)), return_exceptions=True
        )
    assert [type(answer) for answer in answers] == [ConnectionError] * 3
    assert await heads.last_seq(agent_session.id) is not None


async def test_readers_who_find_nothing_new_do_not_read_the_log(
    agent_session: Session, queries: list[set[uuid.UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read_on = log.read_on

    async def counted(session_id: uuid.UUID, *, after: int) -> object:
        nonlocal reads
        reads += 1
        return await read_on(session_id, after=after)

    monkeypatch.setattr(log, "read_on", counted)
    empty = 0
    async for batch in follow(agent_session.id, poll_s=0.01):
        empty += not batch
        if empty == 4:
            break
    assert reads == 1
    assert len(queries) == 3
