"""Signing in and out."""

import re

import pytest
from django.test import AsyncClient, Client
from django.utils import timezone

from sessions import services
from sessions.models import SignInLink
from sessions.runtime import callers
from sessions.web import throttle

PASSWORD = {"username": "alice", "password": "alice's long password"}


async def is_signed_in(client: AsyncClient) -> bool:
    return (await client.get("/account/")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/account/", "/sessions/rows/", "/status/"])
async def test_a_page_sends_strangers_to_sign_in_and_back(async_client, path, transactional_db):
    answer = await async_client.get(path)
    assert answer.status_code == 302
    assert answer["Location"] == f"/sign-in/?next={path}"


async def test_a_poll_of_a_signed_out_page_leads_the_whole_page_to_sign_in(
    async_client, transactional_db
):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/?q=x"}
    answer = await async_client.get("/sessions/rows/", headers=headers)
    assert answer["HX-Redirect"] == "/sign-in/?next=/"
    assert answer.content == b""


async def test_a_program_without_sign_in_gets_json(async_client, transactional_db):
    answer = await async_client.get("/sessions/rows/", headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"


async def test_the_password_signs_in_and_leads_back(async_client, alice):
    answer = await async_client.post("/sign-in/", {**PASSWORD, "next": "/account/"})
    assert (answer.status_code, answer["Location"]) == (303, "/account/")
    assert await is_signed_in(async_client)


@pytest.mark.parametrize(
    "goal", ["https://evil.example/", "//evil.example", "javascript:alert(1)"]
)
async def test_sign_in_leads_to_no_other_site(async_client, alice, goal):
    answer = await async_client.post("/sign-in/", {**PASSWORD, "next": goal})
    assert answer["Location"] == "/"


async def test_unknown_names_and_wrong_passwords_get_the_same_answer(async_client, alice):
    wrong = await async_client.post("/sign-in/", {"username": "alice", "password": "no"})
    unknown = await async_client.post("/sign-in/", {"username": "nobody", "password": "no"})
    assert wrong.status_code == unknown.status_code == 422
    texts = [
        re.sub(
            r'value="[^"]*"|content="[^"]*"|X-CSRFToken[^}]*|nonce="[^"]*"', "", a.content.decode()
        )
        for a in (wrong, unknown)
    ]
    assert texts[0] == texts[1]
    assert not await is_signed_in(async_client)


async def test_a_deactivated_user_cannot_sign_in_and_loses_open_pages(async_client, alice):
    await async_client.aforce_login(alice)
    alice.is_active = False
    await alice.asave()
    assert not await is_signed_in(async_client)
    answer = await async_client.post("/sign-in/", PASSWORD)
    assert answer.status_code == 422


async def test_guessing_ends_even_the_right_password_for_a_while(async_client, alice):
    for _ in range(throttle.ATTEMPTS_PER_NAME):
        answer = await async_client.post("/sign-in/", {"username": "alice", "password": "no"})
        assert answer.status_code == 422
    answer = await async_client.post("/sign-in/", PASSWORD)
    assert answer.status_code == 429
    assert not await is_signed_in(async_client)


def test_guesses_from_elsewhere_do_not_lock_the_owner_out(alice):
    stranger = Client(REMOTE_ADDR="203.0.113.9")
    guess = {"username": "alice", "password": "no"}
    answers = [stranger.post("/sign-in/", guess) for _ in range(throttle.ATTEMPTS_PER_NAME + 1)]
    assert answers[-1].status_code == 429
    owner = Client(REMOTE_ADDR="198.51.100.7")
    assert owner.post("/sign-in/", PASSWORD).status_code == 303


@pytest.mark.parametrize(
    ("is_behind_proxy", "sent", "network"),
    [
        (False, "198.51.100.7", "203.0.113.9"),
        (True, "192.0.2.66, 198.51.100.7", "198.51.100.7"),
        (True, "2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        (True, "nonsense", "nonsense"),
    ],
)
def test_the_address_is_the_proxy_s_word_only_behind_a_proxy(
    rf, settings, is_behind_proxy, sent, network
):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X", "https") if is_behind_proxy else None
    request = rf.get("/", REMOTE_ADDR="203.0.113.9", headers={"X-Forwarded-For": sent})
    assert callers.client_network(request) == network


async def test_one_address_cannot_try_many_names(async_client, alice):
    for n in range(throttle.ATTEMPTS_PER_ADDRESS):
        await async_client.post("/sign-in/", {"username": f"name{n}", "password": "no"})
    answer = await async_client.post("/sign-in/", {"username": "another", "password": "no"})
    assert answer.status_code == 429


async def test_the_right_password_forgets_earlier_slips(async_client, alice):
    for _ in range(3):
        for _ in range(throttle.ATTEMPTS_PER_NAME - 1):
            await async_client.post("/sign-in/", {"username": "alice", "password": "no"})
        assert (await async_client.post("/sign-in/", PASSWORD)).status_code == 303


async def test_looking_at_a_link_does_not_use_it_up(async_client, alice):
    token = await services.sign_in_link_create(user=alice)
    for _ in range(2):
        assert (await async_client.get(f"/sign-in/link/{token}/")).status_code == 200
    assert not await is_signed_in(async_client)
    answer = await async_client.post(f"/sign-in/link/{token}/")
    assert (answer.status_code, answer["Location"]) == (303, "/")
    assert await is_signed_in(async_client)


async def test_a_link_works_once(async_client, alice):
    token = await services.sign_in_link_create(user=alice)
    await async_client.post(f"/sign-in/link/{token}/")
    second = AsyncClient()
    assert (await second.get(f"/sign-in/link/{token}/")).status_code == 404
    assert (await second.post(f"/sign-in/link/{token}/")).status_code == 404
    assert not await is_signed_in(second)


async def test_an_old_link_and_a_guessed_one_do_not_work(async_client, alice):
    token = await services.sign_in_link_create(user=alice)
    await SignInLink.objects.aupdate(expires_at=timezone.now())
    for guess in (token, "guess"):
        assert (await async_client.post(f"/sign-in/link/{guess}/")).status_code == 404
    assert not await is_signed_in(async_client)


async def test_signing_out_takes_a_post(alices):
    assert (await alices.get("/sign-out/")).status_code == 405
    assert await is_signed_in(alices)
    await alices.post("/sign-out/")
    assert not await is_signed_in(alices)


async def test_every_write_needs_the_csrf_token(alice):
    client = AsyncClient(enforce_csrf_checks=True)
    await client.aforce_login(alice)
    for path in (
        "/sign-in/",
        "/sign-out/",
        "/sessions/",
        "/sessions/tour/",
        "/account/password/",
        "/account/keys/",
        "/account/keys/1/revoke/",
    ):
        assert (await client.post(path)).status_code == 403, path


async def test_pages_of_signed_in_people_are_not_cached(alices):
    for path in ("/", "/account/", "/sessions/rows/"):
        assert (await alices.get(path))["Cache-Control"] == "no-store", path


async def test_the_admin_has_no_second_door(async_client, alices, admins, transactional_db):
    assert (
        (await async_client.get("/admin/", follow=True))
        .redirect_chain[-1][0]
        .startswith("/sign-in/")
    )
    assert (await alices.get("/admin/", follow=True)).status_code == 404
    assert (await admins.get("/admin/")).status_code == 200
