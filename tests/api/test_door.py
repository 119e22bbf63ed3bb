"""Who is let in, and what those who are not, or ask wrongly, are told."""

import httpx2
import openai
import pytest
from django.contrib.auth.models import User

from sessions import services
from tests.api.conftest import ClientOf


async def test_without_a_key_nothing_is_answered(alice: User, client_of: ClientOf) -> None:
    with pytest.raises(openai.AuthenticationError) as raised:
        await client_of("berth_unknown").models.list()
    assert raised.value.code == "invalid_api_key"
    assert raised.value.type == "invalid_request_error"


async def test_a_revoked_key_is_unknown(alice: User, client_of: ClientOf) -> None:
    key, secret = await services.api_key_create(user=alice, name="old")
    client = client_of(secret)
    await client.models.list()
    await services.api_key_revoke(user=alice, key_id=key.pk)
    with pytest.raises(openai.AuthenticationError):
        await client.models.list()


async def test_a_browsers_cookie_opens_nothing(alice: User, async_client) -> None:
    await async_client.aforce_login(alice)
    answer = await async_client.get("/v1/models")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer["WWW-Authenticate"] == "Bearer"


async def test_no_csrf_token_is_needed_and_no_cookie_is_set(client: openai.AsyncOpenAI) -> None:
    raw = await client.containers.with_raw_response.create(name="one")
    assert raw.status_code == 200
    assert "set-cookie" not in raw.headers


async def test_each_answer_has_an_id_of_its_own(client: openai.AsyncOpenAI) -> None:
    first = await client.models.with_raw_response.list()
    second = await client.models.with_raw_response.list()
    assert first.request_id is not None
    assert first.request_id.startswith("req_")
    assert first.request_id != second.request_id
    assert first.headers["openai-version"] == "2020-10-01"
    assert int(first.headers["openai-processing-ms"]) >= 0


async def test_a_clients_own_id_is_ascii_and_not_long(client: openai.AsyncOpenAI) -> None:
    await client.models.list(extra_headers={"X-Client-Request-Id": "x" * 512})
    with pytest.raises(openai.BadRequestError):
        await client.models.list(extra_headers={"X-Client-Request-Id": "x" * 513})


@pytest.mark.parametrize("path", ["/", "/nothing", "/containers/", "/models/a/b/"])
async def test_what_is_not_there_is_told_in_the_same_shape(
    client: openai.AsyncOpenAI, path: str
) -> None:
    with pytest.raises(openai.NotFoundError):
        await client.get(path, cast_to=httpx2.Response)


async def test_another_method_is_refused_by_name(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        await client.put("/containers", cast_to=httpx2.Response)
    assert raised.value.status_code == 405
    assert raised.value.response.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("body", [b"{", b"nothing", b"\xff\xfe", b"[" * 100_000])
async def test_what_is_not_json_is_refused(client: openai.AsyncOpenAI, body: bytes) -> None:
    with pytest.raises(openai.BadRequestError, match="could not be parsed"):
        await client.post("/containers", cast_to=httpx2.Response, content=body)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "name", "missing_required_parameter"),
        ({"name": 5}, "name", "invalid_type"),
        ({"name": ""}, "name", "string_below_min_length"),
        ({"name": "x" * 201}, "name", "string_above_max_length"),
        ({"name": "x", "colour": "red"}, "colour", "unknown_parameter"),
        ({"name": "x", "memory_limit": "2g"}, "memory_limit", "invalid_value"),
        (
            {"name": "x", "expires_after": {"anchor": "last_active_at"}},
            "expires_after.minutes",
            "missing_required_parameter",
        ),
        (
            {"name": "x", "expires_after": {"anchor": "last_active_at", "minutes": "5"}},
            "expires_after.minutes",
            "invalid_type",
        ),
        (
            {"name": "x", "expires_after": {"anchor": "last_active_at", "minutes": 0}},
            "expires_after.minutes",
            "integer_below_min_value",
        ),
        (
            {"name": "x", "network_policy": {"type": "allowlist", "allowed_domains": ["a.org"]}},
            "network_policy.type",
            "invalid_value",
        ),
    ],
)
async def test_the_parameter_that_is_wrong_is_named(
    client: openai.AsyncOpenAI, body: dict[str, object], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.post("/containers", cast_to=httpx2.Response, body=body)
    assert (raised.value.param, raised.value.code) == (param, code)


@pytest.mark.parametrize("path", ["/v1/containers", "/v1/files"])
async def test_a_form_without_a_boundary_is_refused(alice: User, async_client, path: str) -> None:
    _, secret = await services.api_key_create(user=alice, name="tests")
    key = {"Authorization": f"Bearer {secret}"}
    answer = await async_client.post(path, b"x", content_type="multipart/form-data", headers=key)
    assert answer.status_code == 400
    assert "form could not be parsed" in answer.json()["error"]["message"]


@pytest.mark.parametrize("item", [5, "hello", None, [], True])
async def test_items_that_are_no_objects_are_refused_by_name(
    client: openai.AsyncOpenAI, item: object
) -> None:
    for path, field in (("/conversations", "items"), ("/responses", "input")):
        with pytest.raises(openai.BadRequestError) as raised:
            await client.post(path, cast_to=httpx2.Response, body={field: [item]})
        assert (raised.value.param, raised.value.code) == (f"{field}[0]", "invalid_type")


async def test_a_body_that_is_no_object_is_refused(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="an object is expected"):
        await client.post("/containers", cast_to=httpx2.Response, content=b'["name"]')
