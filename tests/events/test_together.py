"""What is asked at the same time is asked together, and each gets its own answer."""

import asyncio
from collections.abc import Sequence

import pytest

from sessions.errors import LeaseLostError, NotFoundError
from sessions.events import log
from sessions.events.together import Together
from sessions.events.types import Notice
from sessions.models import Session


async def test_questions_that_come_while_one_is_answered_are_one() -> None:
    asked: list[list[int]] = []
    go_on = asyncio.Event()

    async def double(numbers: Sequence[int]) -> list[int | Exception]:
        asked.append(list(numbers))
        await go_on.wait()
        return [ValueError(str(n)) if n == 3 else 2 * n for n in numbers]

    ask = Together(double, at_most=3)
    tasks = [asyncio.create_task(ask(n)) for n in range(6)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[2].cancel()
    go_on.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert asked == [[0, 1, 2], [3, 4, 5]]
    assert [answers[n] for n in (0, 1, 4, 5)] == [0, 2, 8, 10]
    assert isinstance(answers[2], asyncio.CancelledError)
    assert isinstance(answers[3], ValueError)
    assert await ask(7) == 14


async def test_what_cannot_be_asked_fails_for_all_who_asked_and_not_for_the_next() -> None:
    is_broken = True

    async def echo(questions: Sequence[str]) -> list[str | Exception]:
        if is_broken:
            raise OSError("no")
        return list(questions)

    ask = Together(echo, at_most=10)
    failed = await asyncio.gather(ask("a"), ask("b"), return_exceptions=True)
    assert [type(error) for error in failed] == [OSError, OSError]
    is_broken = False
    assert await ask("c") == "c"


@pytest.mark.django_db(transaction=True)
async def test_one_that_may_not_be_stored_does_not_keep_back_the_others(
    agent_session: Session,
) -> None:
    """Nor does it leave a hole."""
    missing = Session(owner=agent_session.owner)
    before = (await Session.objects.aget(id=agent_session.id)).last_seq

    async def append(session: Session, text: str, lease: str | None = None) -> int:
        return await log.append(session.id, [Notice("info", text)], lease=lease)

    results = await asyncio.gather(
        append(agent_session, "one"),
        append(missing, "nowhere"),
        append(agent_session, "not ours", "another runner"),
        append(agent_session, "two"),
        append(agent_session, "three"),
        return_exceptions=True,
    )
    assert [results[n] for n in (0, 3, 4)] == [before + 1, before + 2, before + 3]
    assert isinstance(results[1], NotFoundError)
    assert isinstance(results[2], LeaseLostError)
    stored = await log.read(agent_session.id, after=before)
    assert [(event.seq - before, event.body) for event in stored] == [
        (number, Notice("info", text)) for number, text in enumerate(("one", "two", "three"), 1)
    ]
