"""Websockets for programs, which bring an API key instead of a page's cookie."""

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.utils import timezone

from sessions import services
from sessions.events.types import Notice
from sessions.models import ApiKey, Session
from sessions.services import wrong_keys
from sessions.streaming import access
from tests.streaming.conftest import OpenViewer, append, cookie_of, path_of
from tests.streaming.test_socket_access import UNKNOWN

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _fresh_counts() -> None:
    cache.clear()


async def key_of(user: User, *scopes: str) -> str:
    _, secret = await services.api_key_create(
        user=user, name="watcher", scopes=scopes or ("sessions.read",)
    )
    return secret


async def test_owners_program_follows_without_an_origin(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    await append(agent_session, Notice(level="info", text="hello"))
    viewer = await open_viewer(agent_session, None, origin="", key=await key_of(alice))
    await viewer.follow()
    await viewer.read_to(1)
    assert viewer.control[0]["session"]["id"] == str(agent_session.id)


@pytest.mark.parametrize("scopes", [("all",), ("read",), ("sessions.write",)])
async def test_each_scope_that_includes_it_will_do(
    agent_session: Session, alice: User, open_viewer: OpenViewer, scopes: tuple[str, ...]
) -> None:
    await append(agent_session, Notice(level="info", text="hello"))
    viewer = await open_viewer(agent_session, None, key=await key_of(alice, *scopes))
    await viewer.follow()
    await viewer.read_to(1)


async def test_a_key_without_the_scope_is_told_so(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer(agent_session, None, key=await key_of(alice, "responses.write"))
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4403


async def test_a_reader_gets_no_terminal(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    for scope, code in (("sessions.read", 4403), ("sessions.write", 4404)):
        path = f"{path_of(agent_session)}shells/shell-1/"
        viewer = await open_viewer(path, None, key=await key_of(alice, scope))
        assert await viewer.connect()
        assert await viewer.read_until_closed() == code


async def test_anothers_session_looks_like_none(
    agent_session: Session, bob: User, open_viewer: OpenViewer
) -> None:
    secret = await key_of(bob)
    for target in (agent_session, UNKNOWN):
        viewer = await open_viewer(target, None, key=secret)
        assert await viewer.connect()
        assert await viewer.read_until_closed() == 4404


@pytest.mark.parametrize("key", ["berth_nobody", "berth_" + "x" * 43, ""])
async def test_a_wrong_key_is_not_helped_by_a_good_cookie(
    agent_session: Session, alice: User, open_viewer: OpenViewer, key: str
) -> None:
    viewer = await open_viewer(agent_session, None, cookie=await cookie_of(alice), key=key)
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4401


async def test_a_cookie_beside_a_key_counts_for_nothing(
    agent_session: Session, alice: User, bob: User, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer(agent_session, alice, key=await key_of(bob))
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4404


async def test_a_key_in_the_address_opens_nothing(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    path = f"{path_of(agent_session)}?api_key={await key_of(alice)}"
    viewer = await open_viewer(path, None)
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4401
    assert not await (await open_viewer(path, None, origin="")).connect()


@pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
async def test_the_end_of_a_key_ends_its_sockets(
    agent_session: Session,
    alice: User,
    open_viewer: OpenViewer,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    monkeypatch.setattr(access, "USER_CHECK_S", 0.05)
    viewer = await open_viewer(agent_session, None, key=await key_of(alice))
    await viewer.follow()
    await ApiKey.objects.aupdate(**{end: timezone.now()})
    assert await viewer.read_until_closed() == 4401


async def test_the_news_of_the_list_is_for_keys_as_well(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer("/ws/sessions/", None, origin="", key=await key_of(alice))
    assert await viewer.connect()


async def test_one_guess_too_many_is_told_to_wait(
    alice: User, open_viewer: OpenViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrong_keys, "FREE_GUESSES", 0)
    monkeypatch.setattr(wrong_keys, "PAUSE_S", 0)
    viewer = await open_viewer(UNKNOWN, None, key="berth_nobody")
    assert await viewer.connect()
    assert await viewer.read_until_closed() == 4429
