"""Errors in the shape the caller reads."""

import uuid

import pytest
from django.test import AsyncClient

from sessions import services
from sessions.web.views import errors

NOWHERE = "/no/such/page/"
JSON = {"Accept": "application/json"}


async def test_an_unknown_address_is_a_page(alices):
    answer = await alices.get(NOWHERE)
    assert answer.status_code == 404
    assert b"Nothing here" in answer.content
    assert b"Berth" in answer.content
    assert answer["Cache-Control"] == "no-store"


async def test_htmx_gets_a_toast_that_replaces_nothing(alices):
    answer = await alices.get(NOWHERE, headers={"HX-Request": "true"})
    assert answer.status_code == 404
    assert (answer["HX-Retarget"], answer["HX-Reswap"]) == ("#toasts", "beforeend")
    assert b"<html" not in answer.content


async def test_programs_get_json(alices):
    answer = await alices.get(NOWHERE, headers=JSON)
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"message", "code", "param"}


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("*/*", False),
        ("application/json", True),
        ("application/json, text/plain, */*", True),
    ],
)
async def test_the_accept_header_decides(alices, accept, is_json):
    answer = await alices.get(NOWHERE, headers={"Accept": accept})
    assert (answer["Content-Type"] == "application/json") == is_json


async def test_an_error_raised_by_a_view_keeps_its_status_code_and_words(alices):
    answer = await alices.post("/account/keys/99999/revoke/", headers=JSON)
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "There is no such key.",
        "code": "not_found",
        "param": None,
    }


async def test_a_session_of_another_and_an_unknown_one_are_told_the_same(
    alices, bobs, async_client, agent_session
):
    theirs = await bobs.get(f"/sessions/{agent_session.id}/", headers=JSON)
    unknown = await bobs.get(f"/sessions/{uuid.uuid4()}/", headers=JSON)
    assert theirs.status_code == unknown.status_code == 404
    assert theirs.content == unknown.content
    assert (await alices.get(f"/sessions/{agent_session.id}/")).status_code == 200
    assert (await async_client.get(f"/sessions/{agent_session.id}/")).status_code == 302


async def test_a_write_without_the_token_is_explained_in_the_shape_asked_for(alice):
    client = AsyncClient(enforce_csrf_checks=True)
    await client.aforce_login(alice)
    page = await client.post("/sessions/")
    assert (page.status_code, b"out of date" in page.content) == (403, True)
    toast = await client.post("/sessions/", headers={"HX-Request": "true"})
    assert toast["HX-Retarget"] == "#toasts"
    assert (await client.post("/sessions/", headers=JSON)).json()["error"]["code"] == "csrf_failed"


async def test_a_refused_sign_in_link_is_not_written_to_the_log(alice, caplog):
    token = await services.sign_in_link_create(user=alice)
    client = AsyncClient(enforce_csrf_checks=True)
    assert (await client.post(f"/sign-in/link/{token}/")).status_code == 403
    assert "/sign-in/link/" in caplog.text
    assert token not in caplog.text


def test_a_page_that_is_out_of_date_is_explained(rf):
    answer = errors.csrf_failure(rf.post("/", headers=JSON), reason="no cookie")
    assert (answer.status_code, b"csrf_failed" in answer.content) == (403, True)
    assert b"no cookie" not in answer.content


def test_a_fault_of_ours_tells_nothing_of_it(rf):
    answer = errors.server_error(rf.get("/"))
    assert answer.status_code == 500
    assert b"Something went wrong in Berth" in answer.content


def test_what_is_not_allowed_is_a_page(rf):
    answer = errors.forbidden(rf.get("/"), Exception("details"))
    assert answer.status_code == 403
    assert b"details" not in answer.content
