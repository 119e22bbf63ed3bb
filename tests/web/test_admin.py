"""The administration: to look, and to manage people."""

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from sessions import services
from sessions.models import ApiKey, FileUpload, Reclaimed, Session, Shell, Turn

MODELS = (
    "session",
    "turn",
    "apikey",
    "reclaimed",
    "shell",
    "fileupload",
    "pooledcontainer",
    "process",
)


async def shell_of(session: Session) -> Shell:
    return await Shell.objects.acreate(
        session=session,
        shell_id="shell-1",
        number=1,
        container_id="c",
        opened_by=session.owner,
        opener_name=session.owner.username,
        columns=80,
        rows=24,
    )


async def upload_of(session: Session) -> FileUpload:
    return await FileUpload.objects.acreate(session=session, path="big.bin", size=5)


@pytest.mark.parametrize("model", MODELS)
async def test_each_table_can_be_looked_at_and_not_added_to(admins, agent_session, model):
    assert (await admins.get(f"/admin/agent_sessions/{model}/")).status_code == 200
    assert (await admins.get(f"/admin/agent_sessions/{model}/add/")).status_code == 403


async def test_rows_cannot_be_edited(admins, agent_session):
    key, _ = await services.api_key_create(user=agent_session.owner, name="nightly")
    thing = await Reclaimed.objects.acreate(kind="volume", name="v", reason="no session")
    turn = await Turn.objects.aget()
    for model, row in (
        ("session", agent_session),
        ("turn", turn),
        ("apikey", key),
        ("reclaimed", thing),
        ("shell", await shell_of(agent_session)),
        ("fileupload", await upload_of(agent_session)),
    ):
        path = f"/admin/agent_sessions/{model}/{row.pk}/change/"
        page = await admins.get(path)
        assert page.status_code == 200, model
        assert key.key_hash.encode() not in page.content
        # Of a key its limits alone can be set.
        status = 302 if model == "apikey" else 403
        changed = await admins.post(path, {"title": "changed", "name": "changed"})
        assert changed.status_code == status
    assert not await Session.objects.filter(title="changed").aexists()
    assert not await ApiKey.objects.filter(name="changed").aexists()


async def test_an_administrator_makes_a_user_who_can_sign_in(admins):
    answer = await admins.post(
        "/admin/auth/user/add/",
        {
            "username": "carol",
            "usable_password": "true",
            "password1": "carol's long password",
            "password2": "carol's long password",
        },
    )
    assert answer.status_code == 302
    carol = AsyncClient()
    answer = await carol.post(
        "/sign-in/", {"username": "carol", "password": "carol's long password"}
    )
    assert answer.status_code == 303


async def test_parts_of_a_session_alone_cannot_be_deleted(admins, agent_session):
    for model, row in (
        ("turn", await Turn.objects.aget()),
        ("shell", await shell_of(agent_session)),
        ("fileupload", await upload_of(agent_session)),
    ):
        path = f"/admin/agent_sessions/{model}/{row.pk}/delete/"
        assert (await admins.post(path, {"post": "yes"})).status_code == 403
        assert await type(row).objects.acount() == 1


async def test_a_user_is_deleted_with_all_sessions(admins, agent_session):
    await shell_of(agent_session)
    await upload_of(agent_session)
    path = f"/admin/auth/user/{agent_session.owner_id}/delete/"
    assert (await admins.post(path, {"post": "yes"})).status_code == 302
    assert not await User.objects.filter(id=agent_session.owner_id).aexists()
    assert not await Session.objects.aexists()


@pytest.mark.parametrize("model", MODELS)
async def test_others_find_no_administration(alices, model):
    answer = await alices.get(f"/admin/agent_sessions/{model}/", follow=True)
    assert answer.status_code == 404


async def test_an_administrator_gives_a_key_limits_and_never_sees_its_secret(admins, alice):
    key, secret = await services.api_key_create(user=alice, name="nightly", scopes=["files.read"])
    path = f"/admin/agent_sessions/apikey/{key.pk}/change/"
    page = (await admins.get(path)).content.decode()
    assert "files.read" in page
    assert secret not in page
    assert key.key_hash not in page
    sent = {"requests_per_minute": "5", "scopes": '["all"]', "key_hash": "x", "revoked_at_0": ""}
    assert (await admins.post(path, sent)).status_code == 302
    kept = await ApiKey.objects.aget()
    assert (kept.requests_per_minute, kept.tokens_per_minute) == (5, None)
    assert (kept.scopes, kept.key_hash) == (["files.read"], key.key_hash)


async def test_an_administrator_revokes_keys(admins, alice, bob):
    keys = [(await services.api_key_create(user=user, name="k"))[0] for user in (alice, bob)]
    sent = {"action": "revoke", "_selected_action": [keys[0].pk]}
    assert (await admins.post("/admin/agent_sessions/apikey/", sent)).status_code == 302
    left = ApiKey.objects.filter(revoked_at=None)
    assert [key.pk async for key in left] == [keys[1].pk]


async def test_staff_without_the_right_only_look_at_keys(admins, alice, bob):
    await User.objects.filter(pk=bob.pk).aupdate(is_staff=True)
    key, _ = await services.api_key_create(user=alice, name="k")
    staff = AsyncClient()
    await staff.aforce_login(await User.objects.aget(pk=bob.pk))
    path = f"/admin/agent_sessions/apikey/{key.pk}/change/"
    assert (await staff.post(path, {"requests_per_minute": "5"})).status_code == 403
