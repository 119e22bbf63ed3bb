"""Programs that come with an API key instead of a cookie."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone

from sessions import services
from sessions.models import ApiKey, Session
from sessions.services import wrong_keys
from tests.web.test_dashboard import make_session

TASK = {"task": "Count", "choice": "scripted:scripted", "image": "berth/sandbox"}


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture
def program() -> AsyncClient:
    return AsyncClient(enforce_csrf_checks=True)


@pytest.fixture
async def secret(alice: User) -> str:
    _, secret = await services.api_key_create(user=alice, name="nightly")
    return secret


async def test_a_key_opens_its_user_s_pages_without_any_cookie(program, secret, alice):
    session = await make_session(alice, "Sort the harbour log")
    for path in ("/", f"/sessions/{session.id}/"):
        answer = await program.get(path, headers=bearer(secret))
        assert answer.status_code == 200
        assert b"Sort the harbour log" in answer.content
        assert not answer.cookies


async def test_a_program_starts_a_session_without_a_csrf_token(program, secret, alice):
    answer = await program.post("/sessions/", TASK, headers=bearer(secret))
    assert answer.status_code == 201
    session = await Session.objects.aget()
    assert answer.json()["session"] == str(session.id)
    assert session.owner_id == alice.id


async def test_a_program_reads_what_is_wrong_as_json(program, secret):
    answer = await program.post("/sessions/", {**TASK, "task": ""}, headers=bearer(secret))
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "task"


async def test_the_sessions_of_others_are_not_there(program, secret, bob):
    session = await make_session(bob, "Private")
    for path in ("", "files/list/?path=", "calls/1/output/"):
        answer = await program.get(f"/sessions/{session.id}/{path}", headers=bearer(secret))
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("kind", ["unknown", "revoked", "inactive"])
async def test_a_key_that_does_not_work_is_refused(program, secret, alice, kind):
    if kind == "revoked":
        await services.api_key_revoke(user=alice, key_id=(await ApiKey.objects.aget()).id)
    if kind == "inactive":
        await User.objects.filter(id=alice.id).aupdate(is_active=False)
    sent = f"{secret}x" if kind == "unknown" else secret
    answer = await program.get("/", headers=bearer(sent))
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("path", ["/account/", "/account/keys/", "/admin/", "/sign-in/"])
async def test_keys_are_not_accepted_where_access_itself_is_changed(program, secret, path):
    for send in (program.get, program.post):
        answer = await send(path, headers=bearer(secret))
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "key_not_accepted"


async def test_a_bad_key_is_not_helped_by_a_good_cookie(alices):
    assert (await alices.get("/", headers=bearer("berth_x"))).status_code == 401


async def test_a_cookie_beside_a_key_counts_for_nothing(bobs, secret, alice, bob):
    await bobs.post("/sessions/", TASK, headers=bearer(secret))
    assert (await Session.objects.aget()).owner_id == alice.id


async def test_its_use_is_noted_at_most_once_a_minute(program, secret):
    await program.get("/", headers=bearer(secret))
    first = (await ApiKey.objects.aget()).last_used_at
    assert first is not None
    await program.get("/", headers=bearer(secret))
    assert (await ApiKey.objects.aget()).last_used_at == first
    await ApiKey.objects.aupdate(last_used_at=timezone.now() - dt.timedelta(minutes=2))
    await program.get("/", headers=bearer(secret))
    again = (await ApiKey.objects.aget()).last_used_at
    assert again is not None
    assert again >= first


@pytest.mark.parametrize(
    ("scope", "reads", "writes"),
    [
        ("all", 200, 201),
        ("sessions.write", 200, 201),
        ("sessions.read", 200, 403),
        ("read", 200, 403),
        ("responses.write", 403, 403),
    ],
)
async def test_a_key_does_here_what_its_scope_says(program, alice, scope, reads, writes):
    _, secret = await services.api_key_create(user=alice, name="limited", scopes=[scope])
    read = await program.get("/", headers=bearer(secret))
    wrote = await program.post("/sessions/", TASK, headers=bearer(secret))
    assert (read.status_code, wrote.status_code) == (reads, writes)
    if writes == 403:
        assert wrote.json()["error"]["code"] == "missing_scope"
        assert "sessions.write" in wrote.json()["error"]["message"]
        assert not await Session.objects.aexists()


async def test_requests_beyond_the_limit_are_told_when_to_come_again(program, secret):
    await ApiKey.objects.aupdate(requests_per_minute=1)
    assert (await program.get("/", headers=bearer(secret))).status_code == 200
    answer = await program.get("/", headers=bearer(secret))
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


async def test_wrong_keys_are_slowed_and_right_ones_are_not(program, secret, monkeypatch):
    monkeypatch.setattr(wrong_keys, "FREE_GUESSES", 0)
    monkeypatch.setattr(wrong_keys, "PAUSE_S", 0)
    assert (await program.get("/", headers=bearer("berth_x"))).status_code == 429
    assert (await program.get("/", headers=bearer(secret))).status_code == 200
