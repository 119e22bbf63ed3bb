"""Who may touch whose files, and with what paths."""

import json
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from sessions.models import Session
from sessions.runtime.process import Runtime
from tests.web.file_requests import FileRequests, error_of

pytestmark = pytest.mark.slow

REQUESTS = {
    "list": ("GET", ""),
    "changes": ("POST", {"folders": [{"query": "", "fingerprint": ""}]}),
    "view": ("GET", "a.txt"),
    "raw": ("GET", "a.txt"),
    "image": ("GET", "a.png"),
    "archive": ("GET", ""),
    "upload": ("PUT", "new.txt"),
    "folder": ("POST", {"path": "folder"}),
    "rename": ("POST", {"path": "a.txt", "target": "b.txt"}),
    "delete": ("POST", {"path": "a.txt"}),
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture
async def session(agent_session: Session, sandbox_runtime: Runtime) -> Session:
    sandbox = await sandbox_runtime.sandboxes.connect(agent_session)
    await sandbox.write_file("a.txt", b"alice's")
    await sandbox.write_file("a.png", PNG)
    return agent_session


async def send(client: AsyncClient, session_id: uuid.UUID, verb: str, **headers: str) -> Any:
    method, what = REQUESTS[verb]
    url = f"/sessions/{session_id}/files/{verb}/"
    if method == "POST":
        return await client.post(
            url, json.dumps(what), content_type="application/json", headers=headers
        )
    url += f"?path={what}"
    if method == "PUT":
        return await client.put(
            url, b"x", content_type="application/octet-stream", headers=headers
        )
    return await client.get(url, headers=headers)


@pytest.mark.parametrize("verb", REQUESTS)
async def test_the_owner_gets_an_answer(alices: AsyncClient, session: Session, verb: str) -> None:
    response = await send(alices, session.id, verb)
    assert response.status_code in {200, 201, 204}
    assert "no-" in response["Cache-Control"]


@pytest.mark.parametrize("verb", REQUESTS)
async def test_an_administrator_gets_an_answer(
    admins: AsyncClient, session: Session, verb: str
) -> None:
    assert (await send(admins, session.id, verb)).status_code in {200, 201, 204}


@pytest.mark.parametrize("verb", REQUESTS)
async def test_another_user_cannot_tell_it_from_nothing(
    bobs: AsyncClient, session: Session, unknown_id: uuid.UUID, verb: str
) -> None:
    not_theirs = await send(bobs, session.id, verb, accept="application/json")
    nothing = await send(bobs, unknown_id, verb, accept="application/json")
    assert error_of(not_theirs) == (404, "not_found")
    assert not_theirs.content == nothing.content


@pytest.mark.parametrize("verb", REQUESTS)
async def test_a_stranger_must_sign_in(
    async_client: AsyncClient, session: Session, verb: str
) -> None:
    assert (await send(async_client, session.id, verb)).status_code == 302
    as_json = await send(async_client, session.id, verb, accept="application/json")
    assert error_of(as_json) == (401, "unauthorized")


@pytest.mark.parametrize("verb", [v for v, (method, _) in REQUESTS.items() if method != "GET"])
async def test_a_write_needs_the_csrf_token(session: Session, alice: User, verb: str) -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    await client.aforce_login(alice)
    assert (await send(client, session.id, verb)).status_code == 403


@pytest.mark.parametrize("verb", REQUESTS)
async def test_another_method_is_refused(alices: AsyncClient, session: Session, verb: str) -> None:
    url = f"/sessions/{session.id}/files/{verb}/"
    assert (await alices.patch(url)).status_code == 405


FORGED_QUERIES = {
    "path=..": 403,
    "path=a/../../etc/passwd": 403,
    "path=%2e%2e%2fetc": 403,
    "path=/etc/passwd": 403,
    "path=%2Fetc%2Fpasswd": 403,
    "path=a%00b": 400,
    "path=a//b": 400,
    "path=%zz": 400,
    "path=a&path=b": 400,
    f"path={'a' * 300}": 400,
}
FORGED_BODIES = [
    *("", "[]", "nonsense", "{}", "[" * 100_000, '{"folders": 1}', '{"folders": [1]}'),
    *('{"path": 1}', '{"path": ".."}', '{"path": "a\\u0000"}', '{"path": ""}'),
    *('{"path": "/etc/x", "target": "b"}', '{"path": "a.txt", "target": "../b"}'),
]


@pytest.mark.parametrize("verb", ["list", "view", "raw", "image", "archive", "upload"])
async def test_a_forged_query_is_refused(alices: AsyncClient, session: Session, verb: str) -> None:
    ask = alices.put if verb == "upload" else alices.get
    url = f"/sessions/{session.id}/files/{verb}/"
    for query, status in FORGED_QUERIES.items():
        response = await ask(f"{url}?{query}", headers={"accept": "application/json"})
        assert response.status_code == status, query


@pytest.mark.parametrize("verb", ["folder", "rename", "changes"])
async def test_a_forged_body_is_refused(alices: AsyncClient, session: Session, verb: str) -> None:
    url = f"/sessions/{session.id}/files/{verb}/"
    for body in FORGED_BODIES:
        response = await alices.post(
            url, body, content_type="application/json", headers={"accept": "application/json"}
        )
        assert response.status_code in {400, 403, 409}, body
    names = (await FileRequests(alices, session).get("list", "")).json()["entries"]
    assert [entry["name"] for entry in names] == ["a.png", "a.txt"]


async def test_a_deleted_session_has_no_files(alices: AsyncClient, session: Session) -> None:
    await alices.post(f"/sessions/{session.id}/delete/")
    assert (await send(alices, session.id, "list")).status_code == 404
