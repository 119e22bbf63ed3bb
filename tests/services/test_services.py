import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from sessions import selectors, services
from sessions.errors import ConflictError, InvalidInputError, NotFoundError
from sessions.events import log
from sessions.models import ApiKey, Session, SignInLink, Turn, TurnStatus, Upload
from sessions.sandbox.limits import Limits
from sessions.services import NewUpload


async def _types(session: Session) -> list[str]:
    return [event.body.type for event in await log.read(session.id)]


async def test_creating_a_session_queues_its_first_turn(agent_session: Session) -> None:
    turn = await Turn.objects.aget(session=agent_session)
    assert (turn.number, turn.status) == (1, TurnStatus.QUEUED)
    assert await _types(agent_session) == ["session.created", "session.status", "turn.queued"]


@pytest.mark.parametrize("text", ["", " \n\t", "\0 ".replace("\0", "")])
async def test_an_empty_message_is_refused(agent_session: Session, text: str) -> None:
    with pytest.raises(InvalidInputError):
        await services.turn_submit(session=agent_session, text=text)


async def test_a_message_over_one_mebibyte_is_refused(agent_session: Session) -> None:
    with pytest.raises(InvalidInputError, match="at most 1 MiB"):
        await services.turn_submit(session=agent_session, text="é" * 600_000)
    await services.turn_submit(session=agent_session, text="x" * (1024 * 1024))


async def test_binary_text_is_stored_with_replacements(agent_session: Session) -> None:
    turn = await services.turn_submit(session=agent_session, text="a\0b\ud800c")
    assert turn.text == "a\ufffdb?c"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("\n\n  # Sort a list \nand more", "Sort a list"),
        ("x" * 100, "x" * 79 + "…"),
        ("\u202e\u0007evil\x1b[31m", "evil[31m"),
        ("```", "Untitled"),
        ("```bash\necho hello\n```", "echo hello"),
    ],
)
def test_a_title_is_the_first_readable_line(text: str, title: str) -> None:
    assert services.title_from(text) == title


async def test_turns_are_numbered_in_order(agent_session: Session) -> None:
    numbers = [
        (await services.turn_submit(session=agent_session, text="more")).number for _ in range(3)
    ]
    assert numbers == [2, 3, 4]


async def test_a_full_queue_takes_no_more(agent_session: Session) -> None:
    for _ in range(services.MAX_QUEUED_TURNS - 1):
        await services.turn_submit(session=agent_session, text="more")
    with pytest.raises(ConflictError):
        await services.turn_submit(session=agent_session, text="one too many")


async def test_a_queued_message_can_be_taken_back_once(agent_session: Session) -> None:
    await services.turn_remove(session=agent_session, number=1)
    assert (await _types(agent_session))[-1] == "turn.removed"
    with pytest.raises(ConflictError):
        await services.turn_remove(session=agent_session, number=1)
    with pytest.raises(NotFoundError):
        await services.turn_remove(session=agent_session, number=99)


async def test_stopping_twice_is_stopping_once(agent_session: Session) -> None:
    assert not await services.turn_stop(session=agent_session)
    await Turn.objects.filter(session=agent_session).aupdate(status=TurnStatus.RUNNING)
    assert await services.turn_stop(session=agent_session)
    assert await services.turn_stop(session=agent_session)
    assert (await _types(agent_session)).count("turn.stopping") == 1


async def test_two_turns_of_a_session_never_run_at_once(agent_session: Session) -> None:
    await services.turn_submit(session=agent_session, text="more")
    with pytest.raises(IntegrityError):
        await Turn.objects.filter(session=agent_session).aupdate(status=TurnStatus.RUNNING)


async def test_uploads_wait_on_the_host_under_names_of_their_own(alice: User) -> None:
    session = await services.session_create(
        owner=alice,
        text="use these",
        provider="scripted",
        model="scripted",
        image="i",
        limits=Limits(),
        files=[NewUpload("../../etc/pass wd", [b"a", b"b"], 2)],
    )
    upload = await Upload.objects.aget(turn__session=session)
    assert upload.name == "pass%20wd"
    folder = services.upload_folder(session.id)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"ab"]
    await services.turn_remove(session=session, number=1)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/", "x" * 300, "a\0b"])
def test_a_file_name_that_cannot_be_used_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        services.upload_name(name)


async def test_a_deleted_session_is_gone_for_everybody(
    agent_session: Session, alice: User, admin: User
) -> None:
    await services.session_delete(session=agent_session)
    for user in (alice, admin):
        with pytest.raises(NotFoundError):
            await selectors.session_get(user=user, session_id=agent_session.id)
        assert await selectors.session_list(user=user) == []


async def test_who_sees_a_session(
    agent_session: Session, alice: User, bob: User, admin: User
) -> None:
    for user in (alice, admin):
        found = await selectors.session_get(user=user, session_id=agent_session.id)
        assert found.id == agent_session.id
        assert [row.id for row in await selectors.session_list(user=user)] == [agent_session.id]
    with pytest.raises(NotFoundError):
        await selectors.session_get(user=bob, session_id=agent_session.id)
    assert await selectors.session_list(user=bob) == []


async def test_search_looks_in_titles_and_messages(agent_session: Session, alice: User) -> None:
    await services.turn_submit(session=agent_session, text="Find the needle")
    assert len(await selectors.session_list(user=alice, search="NEEDLE")) == 1
    assert len(await selectors.session_list(user=alice, search="say hel")) == 1
    assert await selectors.session_list(user=alice, search="haystack") == []


async def test_a_sign_in_link_works_once(alice: User) -> None:
    token = await services.sign_in_link_create(user=alice)
    assert await services.sign_in_link_is_fresh(token=token)
    assert await services.sign_in_link_use(token=token) == alice
    assert not await services.sign_in_link_is_fresh(token=token)
    with pytest.raises(NotFoundError):
        await services.sign_in_link_use(token=token)


async def test_a_sign_in_link_expires(alice: User) -> None:
    token = await services.sign_in_link_create(user=alice)
    await SignInLink.objects.aupdate(expires_at=timezone.now() - dt.timedelta(seconds=1))
    with pytest.raises(NotFoundError):
        await services.sign_in_link_use(token=token)


async def test_a_sign_in_link_of_a_disabled_user_fails(alice: User) -> None:
    token = await services.sign_in_link_create(user=alice)
    await User.objects.filter(id=alice.id).aupdate(is_active=False)
    with pytest.raises(NotFoundError):
        await services.sign_in_link_use(token=token)


async def test_secrets_are_not_kept(alice: User) -> None:
    token = await services.sign_in_link_create(user=alice)
    key, secret = await services.api_key_create(user=alice, name="ci")
    assert token not in str(await SignInLink.objects.values().aget())
    assert secret not in str(await ApiKey.objects.values().aget())
    assert secret.startswith(key.prefix)


async def test_a_key_is_revoked_by_its_owner_only(alice: User, bob: User) -> None:
    key, _ = await services.api_key_create(user=alice, name="ci")
    with pytest.raises(NotFoundError):
        await services.api_key_revoke(user=bob, key_id=key.id)
    await services.api_key_revoke(user=alice, key_id=key.id)
    with pytest.raises(NotFoundError):
        await services.api_key_revoke(user=alice, key_id=key.id)


async def test_the_first_administrator_is_made_once(transactional_db) -> None:
    first = await services.admin_ensure()
    assert first.is_superuser
    assert not first.has_usable_password()
    assert await services.admin_ensure() == first


async def test_the_first_administrator_finds_a_free_name(transactional_db) -> None:
    await User.objects.acreate_user("admin", is_active=False)
    first = await services.admin_ensure()
    assert (first.username, first.is_superuser) == ("admin2", True)
