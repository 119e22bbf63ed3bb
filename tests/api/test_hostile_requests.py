"""Requests that no client makes: each is refused in the API's own shape."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from sessions import services
from sessions.runtime.process import Runtime

HUGE = "9" * 40
PATHS = [
    f"/v1/containers?limit={HUGE}",
    "/v1/containers?limit=-1",
    "/v1/containers?limit=1e3",
    "/v1/containers?after=%00",
    "/v1/containers?after=%ed%a0%80",
    "/v1/files?after=%ff%fe",
    f"/v1/files?limit={HUGE}",
    "/v1/skills?order=%zz",
    "/v1/containers/%00",
    "/v1/containers/%ff",
    "/v1/files/%ed%a0%80",
    "/v1/models/%00%ff",
    f"/v1/skills/skill_{'0' * 32}/versions/{HUGE}",
    f"/v1/responses/resp_{'0' * 32}?starting_after={HUGE}&stream=true",
    "/v1/conversations/%0d%0a",
]
NEVER_EXISTED = {400, 404}


@pytest.fixture
async def headers(alice: User, sandbox_runtime: Runtime) -> dict[str, str]:
    _, secret = await services.api_key_create(user=alice, name="tests")
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("path", PATHS)
async def test_addresses_and_queries(async_client, headers: dict[str, str], path: str) -> None:
    answer = await async_client.get(path, headers=headers)
    assert answer.status_code in NEVER_EXISTED
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_numbers_beyond_what_a_database_takes_are_no_place_in_a_stream(
    async_client, headers: dict[str, str]
) -> None:
    made = await async_client.post(
        "/v1/responses",
        json.dumps({"input": "Hello!", "background": True}),
        content_type="application/json",
        headers=headers,
    )
    assert made.status_code == 200
    await async_client.delete(f"/v1/responses/{made.json()['id']}", headers=headers)
    path = f"/v1/responses/{made.json()['id']}?starting_after={HUGE}"
    assert (await async_client.get(path, headers=headers)).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tool_calls": int(HUGE), "input": "x"},
        {"max_output_tokens": int(HUGE), "input": "x", "background": True},
        {"input": [{"role": "user", "content": [[[[]]]]}]},
        {"input": "x", "metadata": {"a\0b": "\ud800"}, "background": True},
    ],
    ids=["tool calls", "tokens", "content", "metadata"],
)
async def test_bodies(async_client, headers: dict[str, str], fields: dict[str, Any]) -> None:
    if "max_tool_calls" in fields:
        fields = fields | {"background": True}
    answer = await async_client.post(
        "/v1/responses", json.dumps(fields), content_type="application/json", headers=headers
    )
    assert answer.status_code in {200, 400}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PATCH", "BREW"])
@pytest.mark.parametrize("path", ["/v1/containers", "/v1/openapi.json", "/v1/nothing"])
async def test_methods(async_client, headers: dict[str, str], method: str, path: str) -> None:
    answer = await async_client.generic(method, path, headers=headers)
    is_read = method == "HEAD" and path.endswith("json")
    assert answer.status_code in ({200} if is_read else {404, 405})


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "a;b=c"])
async def test_odd_content_types_change_nothing(
    async_client, headers: dict[str, str], kind: str
) -> None:
    answer = await async_client.post("/v1/containers", b"{", content_type=kind, headers=headers)
    assert answer.status_code == 400
    named_twice = b'{"name": "first", "name": "second"}'
    answer = await async_client.post(
        "/v1/containers", named_twice, content_type=kind, headers=headers
    )
    assert answer.json()["name"] == "second"
