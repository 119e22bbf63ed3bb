"""What programs asked for, on a page: for whoever may see the session, and for nobody else."""

import json
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from sessions import services
from sessions.models import ApiResponse, Session, Turn
from sessions.responses.ids import format_id
from sessions.sandbox.limits import Limits
from sessions.services import NewResponse, NewSession

REQUEST = {
    "instructions": "Be brief.",
    "tools": [],
    "found": [],
    "include": [],
    "given": ["instructions", "metadata"],
    "metadata": {"ship": "<b>Elbe</b>"},
}


@pytest.fixture
async def response(alice: User) -> ApiResponse:
    item = {
        "id": "msg_1",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "Say hello"}],
    }
    return await services.response_create(
        owner=alice,
        session=NewSession(uuid.uuid4(), "berth/sandbox-slim", Limits(), 1200),
        new=NewResponse("scripted", "scripted", REQUEST, [item], "Say hello"),
    )


def pages_of(response: ApiResponse) -> tuple[str, str, str]:
    base = f"/sessions/{response.session_id}/requests/"
    return base, f"{base}{response.id}/", f"{base}{response.id}/events/"


async def test_the_owner_sees_request_and_events(
    async_client: AsyncClient, alice: User, response: ApiResponse
) -> None:
    await async_client.aforce_login(alice)
    page, one, events = pages_of(response)
    text = (await async_client.get(page)).content.decode()
    assert format_id("resp_", response.id) in text
    assert one in text
    text = (await async_client.get(one)).content.decode()
    assert "Be brief." in text
    assert "Say hello" in text
    assert "&lt;b&gt;Elbe" in text
    session_page = (await async_client.get(f"/sessions/{response.session_id}/")).content.decode()
    assert page in session_page
    answer = await async_client.get(events)
    content: Any = answer
    lines = [json.loads(line) async for piece in content for line in piece.splitlines()]
    assert [line["type"] for line in lines] == ["response.created", "response.in_progress"]


async def test_nobody_else_does(
    async_client: AsyncClient, bob: User, response: ApiResponse
) -> None:
    for page in pages_of(response):
        assert (await async_client.get(page)).status_code == 302
    await async_client.aforce_login(bob)
    for page in pages_of(response):
        assert (await async_client.get(page)).status_code == 404


async def test_a_request_of_another_session_is_not_there(
    async_client: AsyncClient, alice: User, response: ApiResponse, agent_session: Session
) -> None:
    await async_client.aforce_login(alice)
    page = f"/sessions/{agent_session.id}/requests/{response.id}/"
    for address in (page, f"{page}events/"):
        assert (await async_client.get(address)).status_code == 404


async def test_a_session_of_a_person_has_no_link_to_it(
    async_client: AsyncClient, alice: User, agent_session: Session
) -> None:
    await async_client.aforce_login(alice)
    text = (await async_client.get(f"/sessions/{agent_session.id}/")).content.decode()
    assert "/requests/" not in text
    assert await Turn.objects.acount() == 1
