"""Asking a running turn to end."""

from django.contrib.auth.models import User
from django.test import AsyncClient

from sessions.events import log
from sessions.events.types import TurnStopping
from sessions.models import Session, Turn, TurnStatus


async def stop(session: Session, user: User) -> dict[str, object]:
    client = AsyncClient()
    await client.aforce_login(user)
    response = await client.post(f"/sessions/{session.id}/stop/")
    assert response.status_code == 200
    answer: dict[str, object] = response.json()
    return answer


async def stopping_events(session: Session) -> int:
    return len(await log.read(session.id, types=[TurnStopping.type]))


async def test_stop_asks_the_running_turn_to_end(agent_session: Session, alice: User) -> None:
    await Turn.objects.filter(session=agent_session).aupdate(status=TurnStatus.RUNNING)
    assert await stop(agent_session, alice) == {"stopping": True}
    turn = await Turn.objects.aget(session=agent_session)
    assert turn.stop_requested_at is not None
    assert await stopping_events(agent_session) == 1


async def test_asking_twice_is_asking_once(agent_session: Session, alice: User) -> None:
    await Turn.objects.filter(session=agent_session).aupdate(status=TurnStatus.RUNNING)
    await stop(agent_session, alice)
    assert await stop(agent_session, alice) == {"stopping": True}
    assert await stopping_events(agent_session) == 1


async def test_stop_without_a_running_turn_changes_nothing(
    agent_session: Session, alice: User
) -> None:
    assert await stop(agent_session, alice) == {"stopping": False}
    turn = await Turn.objects.aget(session=agent_session)
    assert turn.status == TurnStatus.QUEUED
    assert await stopping_events(agent_session) == 0


async def test_administrator_may_stop_anyones(agent_session: Session, admin: User) -> None:
    await Turn.objects.filter(session=agent_session).aupdate(status=TurnStatus.RUNNING)
    assert await stop(agent_session, admin) == {"stopping": True}
