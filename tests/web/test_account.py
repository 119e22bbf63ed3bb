"""Passwords and API keys."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone

from sessions import services
from sessions.models import ApiKey

NEW = {"new_password1": "a fresh harbour breeze", "new_password2": "a fresh harbour breeze"}


async def test_a_new_password_needs_the_old_one(alices, alice):
    answer = await alices.post("/account/password/", {**NEW, "old_password": "wrong"})
    assert answer.status_code == 422
    await alice.arefresh_from_db()
    assert await alice.acheck_password("alice's long password")


async def test_a_new_password_works_and_signs_other_browsers_out(alices, alice):
    other = AsyncClient()
    await other.aforce_login(alice)
    answer = await alices.post(
        "/account/password/", {**NEW, "old_password": "alice's long password"}
    )
    assert (answer.status_code, answer["Location"]) == (303, "/account/")
    assert (await alices.get("/account/")).status_code == 200
    assert (await other.get("/account/")).status_code == 302
    await alice.arefresh_from_db()
    assert await alice.acheck_password(NEW["new_password1"])


async def test_who_came_by_a_link_sets_a_first_password_without_an_old_one(transactional_db):
    user = await User.objects.acreate_user("fresh")
    client = AsyncClient()
    await client.aforce_login(user)
    assert b"old_password" not in (await client.get("/account/")).content
    assert (await client.post("/account/password/", NEW)).status_code == 303
    await user.arefresh_from_db()
    assert await user.acheck_password(NEW["new_password1"])


@pytest.mark.parametrize("password", ["short", "12345678901", "password123", "alice's"])
async def test_weak_passwords_are_refused_with_the_reason(alices, password):
    answer = await alices.post(
        "/account/password/",
        {
            "old_password": "alice's long password",
            "new_password1": password,
            "new_password2": password,
        },
    )
    assert answer.status_code == 422
    assert b"This password is" in answer.content or b"too similar" in answer.content


async def test_the_secret_of_a_key_is_shown_once(alices, alice):
    answer = await alices.post("/account/keys/", {"name": "nightly <b>"})
    match = re.search(r'id="new-secret">(berth_[\w-]+)<', answer.content.decode())
    assert match
    page = (await alices.get("/account/")).content.decode()
    assert match[1] not in page
    assert match[1][:12] in page
    assert "nightly &lt;b&gt;" in page
    key = await ApiKey.objects.aget()
    assert match[1] not in (key.key_hash, key.prefix)


async def test_a_key_without_a_name_is_refused_at_its_field(alices):
    answer = await alices.post("/account/keys/", {"name": "  "})
    assert answer.status_code == 422
    assert b'id="key-error"' in answer.content


async def test_keys_are_seen_and_revoked_by_their_owner_only(alices, bobs, admins, alice):
    key, _ = await services.api_key_create(user=alice, name="nightly")
    for client in (bobs, admins):
        assert b"nightly" not in (await client.get("/account/")).content
        assert (await client.post(f"/account/keys/{key.id}/revoke/")).status_code == 404
    assert await ApiKey.objects.filter(revoked_at=None).acount() == 1
    assert (await alices.post(f"/account/keys/{key.id}/revoke/")).status_code == 303
    assert not await ApiKey.objects.filter(revoked_at=None).aexists()
    assert (await alices.post(f"/account/keys/{key.id}/revoke/")).status_code == 404


async def test_what_is_wrong_with_a_password_stands_at_its_first_field(alices):
    weak = {"old_password": "alice's long password", "new_password1": "a1", "new_password2": "a1"}
    page = (await alices.post("/account/password/", weak)).content.decode()
    assert re.search(r'id="error-new_password1" class="field-error">This password is too sh', page)
    assert page.count("too short") == 1


async def test_a_key_is_made_for_what_was_chosen_and_ends_when_it_was_said(alices):
    sent = {
        "name": "reports",
        "access": "chosen",
        "scope-files": "write",
        "scope-models": "read",
        "scope-responses": "",
        "expires": "30",
    }
    page = (await alices.post("/account/keys/", sent)).content.decode()
    key = await ApiKey.objects.aget()
    assert key.scopes == ["files.write", "models.read"]
    assert key.expires_at is not None
    assert (key.expires_at - key.created_at).days in (29, 30)
    assert "Files, vector stores and skills: write" in page
    assert f"Expires {key.expires_at:%Y-%m-%d}" in page


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"access": "chosen"}, "Choose what the key may do."),
        ({"access": "chosen", "scope-models": "write"}, "There is no scope models.write."),
        ({"access": "chosen", "scope-files": "<b>"}, "There is no scope files.&lt;b&gt;."),
        ({"access": "everything"}, "There is no scope everything."),
        ({"expires": "0"}, "Choose when the key expires."),
        ({"expires": "-1"}, "Choose when the key expires."),
    ],
)
async def test_what_cannot_be_taken_is_said_and_the_form_kept(alices, sent, words):
    answer = await alices.post("/account/keys/", {"name": "mine", **sent})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert words in page
    assert 'value="mine"' in page
    assert not await ApiKey.objects.aexists()


async def test_dead_keys_are_shown_as_such_and_cannot_be_revoked_again(alices, alice):
    now = timezone.now()
    for name, end in (("gone", "revoked_at"), ("old", "expires_at"), ("fresh", None)):
        key, _ = await services.api_key_create(user=alice, name=name)
        if end:
            await ApiKey.objects.filter(id=key.pk).aupdate(**{end: now})
    page = (await alices.get("/account/")).content.decode()
    assert page.count(">revoked</span>") == page.count(">expired</span>") == 1
    assert re.findall(r'aria-label="Revoke (\w+)"', page) == ["fresh"]
