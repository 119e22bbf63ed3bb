"""Keeping a session from being suspended, starting it again, and its archived workspace."""

import datetime as dt
import io
import tarfile
import uuid

import pytest
import zstandard
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone

from sessions import services
from sessions.models import Session
from sessions.runtime.process import Runtime
from sessions.runtime.reaper import Reaper
from tests.web.file_requests import body_of

LONG_AGO = dt.timedelta(days=40)
ACTIONS = ("keep", "expiry", "resume")
FIELDS = {"expires_after_s": "300"}


@pytest.fixture
async def alices(alice: User) -> AsyncClient:
    client = AsyncClient()
    await client.aforce_login(alice)
    return client


@pytest.fixture
async def archived(sandbox_runtime: Runtime, agent_session: Session) -> Session:
    """A session whose workspace, with one file in it, was archived."""
    sandboxes = sandbox_runtime.sandboxes
    await (await sandboxes.connect(agent_session)).write_file("kept.txt", b"kept\n")
    await agent_session.turns.aupdate(status="ended")
    await Session.objects.filter(id=agent_session.id).aupdate(
        status="idle", last_active_at=timezone.now() - LONG_AGO
    )
    reaper = Reaper(sandboxes, retention=dt.timedelta(days=30), observe_s=0)
    await reaper.suspend_idle()
    await reaper.archive_old()
    return await Session.objects.aget(id=agent_session.id)


async def test_keeping_begins_the_time_anew(
    sandbox_runtime: Runtime, agent_session: Session, alices: AsyncClient
) -> None:
    await sandbox_runtime.sandboxes.connect(agent_session)
    await Session.objects.filter(id=agent_session.id).aupdate(
        status="idle", last_active_at=timezone.now() - dt.timedelta(minutes=19)
    )
    response = await alices.post(f"/sessions/{agent_session.id}/keep/")
    at = response.json()["session"]["suspends_at"] / 1000
    assert 19 * 60 < at - timezone.now().timestamp() <= 20 * 60


async def test_the_time_can_be_chosen(agent_session: Session, alices: AsyncClient) -> None:
    url = f"/sessions/{agent_session.id}/expiry/"
    response = await alices.post(url, {"expires_after_s": "3600"})
    assert response.json()["session"]["expires_after_s"] == 3600
    response = await alices.post(url, {"expires_after_s": "0"})
    assert response.json()["session"]["suspends_at"] is None
    for wrong in ("", "soon", "-5", "1.5", "10", "99999999999", "٣٠٠"):
        response = await alices.post(
            url, {"expires_after_s": wrong}, headers={"Accept": "application/json"}
        )
        assert response.status_code == 400, wrong
        assert response.json()["error"]["param"] == "expires_after_s"
    assert (await Session.objects.aget(id=agent_session.id)).expires_after_s == 0


async def test_a_suspended_session_is_resumed(
    sandbox_runtime: Runtime, agent_session: Session, alices: AsyncClient
) -> None:
    await sandbox_runtime.sandboxes.connect(agent_session)
    row = await Session.objects.aget(id=agent_session.id)
    await sandbox_runtime.sandboxes.discard(row, "suspended", "")  # type: ignore[arg-type]
    response = await alices.post(f"/sessions/{agent_session.id}/resume/")
    assert response.json()["session"]["container_state"] == "connected"


async def test_a_page_that_polls_neither_starts_nor_keeps_a_container(
    sandbox_runtime: Runtime, agent_session: Session, alices: AsyncClient
) -> None:
    url = f"/sessions/{agent_session.id}/files/changes/"
    body = {"folders": [{"query": "", "fingerprint": "old", "limit": 10}], "file": None}
    response = await alices.post(url, body, content_type="application/json")
    assert response.json() == {"folders": [], "file": None}
    assert await sandbox_runtime.sandboxes.backend.containers() == []
    await sandbox_runtime.sandboxes.connect(agent_session)
    before = timezone.now() - dt.timedelta(minutes=5)
    await Session.objects.filter(id=agent_session.id).aupdate(last_active_at=before)
    response = await alices.post(url, body, content_type="application/json")
    assert len(response.json()["folders"]) == 1
    assert (await Session.objects.aget(id=agent_session.id)).last_active_at == before


async def test_a_look_at_the_files_keeps_it(
    sandbox_runtime: Runtime, agent_session: Session, alices: AsyncClient
) -> None:
    before = timezone.now() - dt.timedelta(minutes=5)
    await Session.objects.filter(id=agent_session.id).aupdate(last_active_at=before)
    await alices.get(f"/sessions/{agent_session.id}/files/list/")
    assert (await Session.objects.aget(id=agent_session.id)).last_active_at > before


async def test_an_archive_is_downloaded_whole(archived: Session, alices: AsyncClient) -> None:
    response = await alices.get(f"/sessions/{archived.id}/archive/")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/zstd"
    assert "workspace-" in response["Content-Disposition"]
    data = await body_of(response)
    assert int(response["Content-Length"]) == len(data) == archived.archive_bytes
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data))
    with tarfile.open(fileobj=io.BytesIO(reader.read())) as tar:
        kept = tar.extractfile("kept.txt")
        assert kept is not None
        assert kept.read() == b"kept\n"


async def test_restoring_brings_the_files_back(archived: Session, alices: AsyncClient) -> None:
    response = await alices.post(f"/sessions/{archived.id}/resume/")
    assert response.json()["session"]["container_state"] == "connected"
    response = await alices.get(f"/sessions/{archived.id}/files/raw/?path=kept.txt")
    assert await body_of(response) == b"kept\n"
    assert (await alices.get(f"/sessions/{archived.id}/archive/")).status_code == 404


async def test_deleting_takes_the_archive_along(
    archived: Session, sandbox_runtime: Runtime
) -> None:
    await services.session_delete(session=archived)
    await Reaper(sandbox_runtime.sandboxes).reclaim_deleted()
    assert await sandbox_runtime.sandboxes.archives.files() == []


async def test_others_do_not_find_it(
    archived: Session, bob: User, admin: User, unknown_id: uuid.UUID
) -> None:
    stranger, bobs, admins = AsyncClient(), AsyncClient(), AsyncClient()
    await bobs.aforce_login(bob)
    await admins.aforce_login(admin)
    base = f"/sessions/{archived.id}"
    for action in ACTIONS:
        assert (await bobs.post(f"{base}/{action}/", FIELDS)).status_code == 404
        assert (await stranger.post(f"{base}/{action}/", FIELDS)).status_code == 302
        assert (await admins.post(f"/sessions/{unknown_id}/{action}/", FIELDS)).status_code == 404
        assert (await admins.get(f"{base}/{action}/")).status_code == 405
    assert (await bobs.get(f"{base}/archive/")).status_code == 404
    assert (await stranger.get(f"{base}/archive/")).status_code == 302
    response = await admins.get(f"{base}/archive/")
    assert response.status_code == 200
    await body_of(response)
    row = await Session.objects.aget(id=archived.id)
    assert (row.container_state, row.expires_after_s) == ("expired", archived.expires_after_s)
