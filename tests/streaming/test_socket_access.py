"""Who may follow a session, and that the answer is asked for again while they do."""

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.utils import timezone

from sessions.events.types import Notice
from sessions.models import Session
from sessions.streaming import access
from tests.streaming.conftest import OpenViewer, append, cookie_of

pytestmark = pytest.mark.slow

UNKNOWN = "/ws/sessions/00000000-0000-4000-8000-000000000000/"


async def test_owner_is_greeted_with_the_session(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    await append(agent_session, Notice(level="info", text="hello"))
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await viewer.read_to(1)
    hello = viewer.control[0]
    assert hello["type"] == "hello"
    assert hello["last_seq"] == 1
    assert hello["session"]["id"] == str(agent_session.id)
    assert hello["session"]["can_write"] is True


async def test_stranger_is_told_there_is_no_such_session(
    agent_session: Session, bob: User, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer(agent_session, bob)
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4404


async def test_unknown_session_looks_the_same_as_another_users(
    alice: User, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer(UNKNOWN, alice)
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4404


async def test_administrator_sees_all(
    agent_session: Session, charlie: User, open_viewer: OpenViewer
) -> None:
    await append(agent_session, Notice(level="info", text="hello"))
    viewer = await open_viewer(agent_session, charlie)
    await viewer.follow()
    await viewer.read_to(1)


async def test_nobody_signed_in_is_refused(
    agent_session: Session, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer(agent_session, None)
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4401


async def test_forged_cookie_is_refused(agent_session: Session, open_viewer: OpenViewer) -> None:
    viewer = await open_viewer(agent_session, None, cookie="forgedforgedforgedforgedforged")
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4401


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "null"]
)
async def test_another_sites_page_cannot_connect(
    agent_session: Session, alice: User, open_viewer: OpenViewer, origin: str
) -> None:
    viewer = await open_viewer(agent_session, alice, origin=origin)
    assert not await viewer.connect()


async def test_deleting_the_session_ends_its_sockets(
    agent_session: Session, alice: User, open_viewer: OpenViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "SESSION_CHECK_S", 0.05)
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await Session.objects.filter(id=agent_session.id).aupdate(deletion_requested_at=timezone.now())
    assert await viewer.read_until_closed() == 4404


async def test_a_look_shared_with_others_still_tells_who_may_see(
    agent_session: Session,
    alice: User,
    bob: User,
    admin: User,
    open_viewer: OpenViewer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "SESSION_CHECK_S", 0.05)
    owners = await open_viewer(agent_session, alice)
    staffs = await open_viewer(agent_session, admin)
    await owners.follow()
    await staffs.follow()
    await Session.objects.filter(id=agent_session.id).aupdate(owner=bob, title="Handed over")
    assert await owners.read_until_closed() == 4404
    while not any(frame["type"] == "session" for frame in staffs.control):
        await staffs.next_frame()
    assert staffs.control[-1]["session"]["title"] == "Handed over"


async def test_deactivating_the_user_ends_their_sockets(
    agent_session: Session, alice: User, open_viewer: OpenViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "USER_CHECK_S", 0.05)
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await User.objects.filter(pk=alice.pk).aupdate(is_active=False)
    assert await viewer.read_until_closed() == 4401


async def test_changing_the_password_ends_sockets_signed_in_with_the_old_one(
    agent_session: Session, alice: User, open_viewer: OpenViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "USER_CHECK_S", 0.05)
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    alice.set_password("another long password")
    await alice.asave()
    assert await viewer.read_until_closed() == 4401


async def test_renaming_reaches_open_pages(
    agent_session: Session, alice: User, open_viewer: OpenViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "SESSION_CHECK_S", 0.05)
    viewer = await open_viewer(agent_session, alice)
    await viewer.follow()
    await Session.objects.filter(id=agent_session.id).aupdate(title="Merge")
    while not any(frame["type"] == "session" for frame in viewer.control):
        await viewer.next_frame()
    assert viewer.control[-1]["session"]["title"] == "Merge"


async def test_signed_out_cookie_is_refused(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    cookie = await cookie_of(alice)
    await database_sync_to_async(access._store(cookie).flush)()
    viewer = await open_viewer(agent_session, None, cookie=cookie)
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4401
