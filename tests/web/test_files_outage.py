"""No engine, or no container: a clear answer, and work as before once it is back."""

import pytest
from django.test import AsyncClient

from sessions.models import Session
from sessions.runtime.process import Runtime
from tests.web.file_requests import FileRequests, body_of, error_of


async def test_without_an_engine_every_answer_says_so(
    alices: AsyncClient, agent_session: Session
) -> None:
    files = FileRequests(alices, agent_session)
    answers = [
        await files.get("list", ""),
        await files.get("view", "f"),
        await files.get("raw", "f"),
        await files.get("archive", ""),
        await files.put("f", b"x"),
        await files.post("delete", {"path": "f"}),
    ]
    assert {error_of(answer) for answer in answers} == {(503, "engine_unavailable")}


@pytest.mark.parametrize("verb", ["raw", "archive"])
async def test_a_link_followed_without_an_engine_gets_a_page(
    alices: AsyncClient, agent_session: Session, verb: str
) -> None:
    response = await alices.get(f"/sessions/{agent_session.id}/files/{verb}/?path=f")
    assert response.status_code == 503
    assert response["Content-Type"].startswith("text/html")
    assert not response.has_header("Content-Disposition")


async def test_a_container_that_died_is_made_anew_with_the_same_files(
    alices: AsyncClient, agent_session: Session, sandbox_runtime: Runtime
) -> None:
    files = FileRequests(alices, agent_session)
    await files.put("f", b"kept")
    await agent_session.arefresh_from_db()
    await sandbox_runtime.sandboxes.backend.remove(agent_session.container_id)
    answers = [await files.get("raw", "f") for _ in range(2)]
    assert answers[-1].status_code == 200
    assert await body_of(answers[-1]) == b"kept"
    before = agent_session.container_id
    await agent_session.arefresh_from_db()
    assert agent_session.container_id != before
