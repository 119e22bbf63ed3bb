"""The session's page: who sees it, what it says, renaming, deleting, the raw output of a call."""

import re
import uuid
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from sessions import services
from sessions.events import log
from sessions.events.types import CallEnded, CallStarted, Output
from sessions.models import Session
from sessions.sandbox.limits import Limits
from sessions.workspace.skills import SkillFile, bundle_of_files
from tests.web.conftest import EmptyEngine

JSON = {"Accept": "application/json"}


async def signed_in(user: User | None) -> AsyncClient:
    client = AsyncClient()
    if user is not None:
        await client.aforce_login(user)
    return client


def url(session: Session, tail: str = "") -> str:
    return f"/sessions/{session.id}/{tail}"


async def test_owner_sees_the_page(agent_session: Session, alice: User) -> None:
    response = await (await signed_in(alice)).get(url(agent_session))
    page = response.content.decode()
    assert response.status_code == 200
    assert "Say hello" in page
    assert f'data-socket-url="/ws/sessions/{agent_session.id}/"' in page
    assert "no-store" in response["Cache-Control"]


async def test_limits_are_shown(agent_session: Session, alice: User) -> None:
    page = (await (await signed_in(alice)).get(url(agent_session))).content.decode()
    for label, value in (("Memory", "1 GiB"), ("Processes", "512"), ("Command time", "2 min")):
        assert re.search(rf"<dt>{label}</dt>\s*<dd>{value}</dd>", page)


async def test_skills_are_shown_as_text(alice: User, settings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    bundle = bundle_of_files(
        [SkillFile("t/SKILL.md", b"---\nname: tides\ndescription: Tells.\n---\n")]
    )
    skill = services.skill_sent(
        name=bundle.name, description="<script>alert(1)</script>", bundle=bundle.to_zip()
    )
    session = await services.container_create(
        owner=alice,
        name="x",
        provider="scripted",
        model="scripted",
        image="child",
        limits=Limits(),
        skills=[skill],
    )
    page = (await (await signed_in(alice)).get(url(session))).content.decode()
    assert re.search(r"<dt>tides</dt>\s*<dd>&lt;script&gt;alert\(1\)&lt;/script&gt;</dd>", page)
    assert "<script>alert(1)" not in page


async def test_the_disk_limit_says_who_holds_it(
    agent_session: Session, alice: User, engine: EmptyEngine
) -> None:
    client = await signed_in(alice)
    engine.is_away = True
    page = (await client.get(url(agent_session))).content.decode()
    assert re.search(r"<dt>Disk</dt>\s*<dd>10 GiB</dd>", page)
    engine.is_away = False
    page = (await client.get(url(agent_session))).content.decode()
    assert re.search(r"<dt>Disk</dt>\s*<dd>10 GiB, watched</dd>", page)


async def test_a_containers_page_says_where_it_comes_from(
    agent_session: Session, alice: User
) -> None:
    container = await services.container_create(
        owner=alice,
        name="from-a-program",
        provider="scripted",
        model="scripted",
        image="berth/sandbox",
        limits=Limits(),
    )
    client = await signed_in(alice)
    page = (await client.get(url(container))).content.decode()
    assert "Made through the API." in page
    assert "Nothing has run in it yet." in page
    assert 'placeholder="Type a task for this container"' in page
    rows = (await client.get("/sessions/rows/")).content.decode()
    assert rows.count("made through the API, no task yet") == 1
    page = (await client.get(url(agent_session))).content.decode()
    assert "Made through the API." not in page


async def test_title_is_text_whatever_is_in_it(agent_session: Session, alice: User) -> None:
    await Session.objects.filter(id=agent_session.id).aupdate(title="<script>alert(1)</script>")
    page = (await (await signed_in(alice)).get(url(agent_session))).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


async def test_scripts_carry_the_nonce_of_the_policy(agent_session: Session, alice: User) -> None:
    response = await (await signed_in(alice)).get(url(agent_session))
    policy = response["Content-Security-Policy"]
    script_policy = next(part for part in policy.split(";") if "script-src" in part)
    nonce = re.search(r"'nonce-([^']+)'", script_policy)
    assert nonce
    assert "unsafe-inline" not in script_policy
    inline = re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", response.content.decode())
    assert inline
    assert all(f'nonce="{nonce[1]}"' in attributes for attributes in inline)


@pytest.mark.parametrize("tail", ["", "calls/c1/output/"])
async def test_stranger_and_unknown_get_the_same_404(
    agent_session: Session, bob: User, unknown_id: uuid.UUID, tail: str
) -> None:
    client = await signed_in(bob)
    theirs = await client.get(url(agent_session, tail))
    unknown = await client.get(f"/sessions/{unknown_id}/{tail}")
    assert theirs.status_code == unknown.status_code == 404


async def test_administrator_sees_all(agent_session: Session, admin: User) -> None:
    response = await (await signed_in(admin)).get(url(agent_session))
    assert response.status_code == 200
    assert "alice" in response.content.decode()


async def test_nobody_signed_in_is_sent_to_sign_in(agent_session: Session) -> None:
    response = await (await signed_in(None)).get(url(agent_session))
    assert response.status_code == 302
    assert "/sign-in/" in response["Location"]


@pytest.mark.parametrize("tail", ["rename/", "delete/", "stop/", "turns/", "turns/1/remove/"])
async def test_writes_need_the_token_of_the_page(
    agent_session: Session, alice: User, tail: str
) -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    await client.aforce_login(alice)
    response = await client.post(url(agent_session, tail), {"text": "x", "title": "x"})
    assert response.status_code == 403
    await agent_session.arefresh_from_db()
    assert agent_session.title == "Say hello"
    assert agent_session.deletion_requested_at is None


@pytest.mark.parametrize("tail", ["rename/", "delete/", "stop/", "turns/", "turns/1/remove/"])
async def test_stranger_can_write_nothing(agent_session: Session, bob: User, tail: str) -> None:
    client = await signed_in(bob)
    response = await client.post(
        url(agent_session, tail), {"text": "x", "title": "x"}, headers=JSON
    )
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("tail", ["rename/", "delete/", "stop/", "turns/", "turns/1/remove/"])
async def test_writes_are_posts(agent_session: Session, alice: User, tail: str) -> None:
    assert (await (await signed_in(alice)).get(url(agent_session, tail))).status_code == 405


async def test_renaming_answers_with_the_title_as_kept(
    agent_session: Session, alice: User
) -> None:
    client = await signed_in(alice)
    response = await client.post(url(agent_session, "rename/"), {"title": "  Sort\u202e it\n"})
    assert response.json() == {"title": "Sort it"}
    await agent_session.arefresh_from_db()
    assert agent_session.title == "Sort it"


async def test_empty_title_is_refused(agent_session: Session, alice: User) -> None:
    client = await signed_in(alice)
    response = await client.post(url(agent_session, "rename/"), {"title": " "}, headers=JSON)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "title"


async def test_deleted_session_is_gone_for_everyone(
    agent_session: Session, alice: User, admin: User
) -> None:
    client = await signed_in(alice)
    response = await client.post(url(agent_session, "delete/"), headers=JSON)
    assert response.json() == {"deleted": str(agent_session.id)}
    assert (await client.get(url(agent_session))).status_code == 404
    assert (await (await signed_in(admin)).get(url(agent_session))).status_code == 404


async def test_deleting_from_a_form_leads_to_the_dashboard(
    agent_session: Session, alice: User
) -> None:
    response = await (await signed_in(alice)).post(url(agent_session, "delete/"))
    assert (response.status_code, response["Location"]) == (302, "/")


async def write_call(session: Session) -> None:
    started = CallStarted(
        call_id="c1", tool_call_id="t", index=0, tool="shell", command="x", timeout_s=5
    )
    other = Output(call_id="c2", stream="stdout", offset=0, content=b"not this")
    pieces = [
        Output(call_id="c1", stream="stdout", offset=0, content=b"one \xff\x00\x1b[31m"),
        other,
        Output(call_id="c1", stream="stderr", offset=0, content=b"<script>"),
        Output(call_id="c1", stream="stdout", offset=9, content=b"two"),
    ]
    ended = CallEnded(call_id="c1", ending={"kind": "exit", "exit_code": 0}, duration_ms=1)
    await log.append(session.id, [started, *pieces, ended])


async def body_of(response: object) -> bytes:
    return b"".join([piece async for piece in response])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("query", "content"),
    [
        ("", b"one \xff\x00\x1b[31m<script>two"),
        ("?stream=stdout", b"one \xff\x00\x1b[31mtwo"),
        ("?stream=stderr", b"<script>"),
    ],
)
async def test_raw_output_is_the_stored_bytes_as_an_attachment(
    agent_session: Session, alice: User, query: str, content: bytes
) -> None:
    await write_call(agent_session)
    response = await (await signed_in(alice)).get(url(agent_session, f"calls/c1/output/{query}"))
    assert await body_of(response) == content
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"


async def test_unknown_call_and_stream_are_refused(agent_session: Session, alice: User) -> None:
    await write_call(agent_session)
    client = await signed_in(alice)
    assert (await client.get(url(agent_session, "calls/nope/output/"))).status_code == 404
    bad = await client.get(url(agent_session, "calls/c1/output/?stream=x"))
    assert bad.status_code == 400


async def test_name_of_the_attachment_holds_nothing_odd(
    agent_session: Session, alice: User
) -> None:
    odd = 'a"\r\nx'
    started = CallStarted(
        call_id=odd, tool_call_id="t", index=0, tool="shell", command="x", timeout_s=5
    )
    await log.append(agent_session.id, [started])
    response = await (await signed_in(alice)).get(url(agent_session, "calls/a%22%0D%0Ax/output/"))
    assert response["Content-Disposition"] == 'attachment; filename="a___x.log"'
