"""What a restricted key may do, over all addresses that there are."""

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from django.contrib.auth.models import User
from django.urls import URLPattern, URLResolver

from sessions import services
from sessions.api import urls
from sessions.api.endpoint import Endpoint, Operation
from sessions.api.views.unknown import unknown
from sessions.models.scopes import ALL, GROUPS, READ, SCOPES, allows, normalised
from tests.api.conftest import ClientOf


def operations(
    patterns: list[Any] = urls.urlpatterns, before: str = "/v1/"
) -> Iterator[tuple[str, str, Operation]]:
    """Method, address and operation of everything below `/v1`."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from operations(pattern.url_patterns, before + str(pattern.pattern))
            continue
        assert isinstance(pattern, URLPattern)
        if pattern.name == "api-openapi":
            continue  # needs no key
        endpoint: Endpoint = pattern.callback.endpoint  # type: ignore[attr-defined]  # of `view`
        for method, operation in endpoint.operations.items():
            yield method, before + str(pattern.pattern), operation


SERVED = [(m, path, one) for m, path, one in operations() if one is not unknown]


async def limited(client_of: ClientOf, user: User, *scopes: str) -> openai.AsyncOpenAI:
    _, secret = await services.api_key_create(user=user, name="limited", scopes=scopes)
    return client_of(secret)


def test_each_operation_has_a_scope_that_a_key_can_be_given() -> None:
    assert len(SERVED) > 30
    for method, path, operation in SERVED:
        scope = operation.scope(path, method)
        assert scope in SCOPES, f"{method} {path} needs {scope}"
        assert scope != ALL, f"{method} {path} is of no group: add it to OF_ADDRESS"


def test_each_group_is_of_some_operation_or_of_the_pages() -> None:
    used = {str(one.scope(path, method)).partition(".")[0] for method, path, one in SERVED}
    assert used <= set(GROUPS)
    assert {"responses", "containers", "files", "conversations", "models"} <= used


async def test_a_key_of_another_group_is_refused_everywhere(
    alice: User, client_of: ClientOf
) -> None:
    client = await limited(client_of, alice, "sessions.write")
    for method, path, operation in SERVED:
        address = path.removeprefix("/v1").replace("<str:", "<").replace("<path:", "<")
        for name in ("container_id", "file_id", "model", "version"):
            address = address.replace(f"<{name}>", "x")
        raw = await client._client.request(
            method, f"http://testserver/v1{address}", headers=client.auth_headers
        )
        assert raw.status_code == 403, f"{method} {path}"
        error = raw.json()["error"]
        assert error["type"] == "insufficient_permissions"
        assert error["code"] == "missing_scope"
        assert str(operation.scope(path, method)) in error["message"]


async def test_the_client_raises_what_it_raises_for_the_hosted_api(
    alice: User, client_of: ClientOf
) -> None:
    client = await limited(client_of, alice, "files.read")
    assert (await client.files.list()).data == []
    with pytest.raises(openai.PermissionDeniedError, match=r"Missing scopes: files\.write"):
        await client.files.create(file=("a.txt", b"a"), purpose="user_data")
    with pytest.raises(openai.PermissionDeniedError, match=r"Missing scopes: containers\.read"):
        await client.containers.list()


async def test_who_may_write_may_read(alice: User, client_of: ClientOf) -> None:
    client = await limited(client_of, alice, "containers.write")
    made = await client.containers.create(name="mine")
    assert (await client.containers.retrieve(made.id)).id == made.id
    with pytest.raises(openai.PermissionDeniedError):
        await client.models.list()


async def test_a_reader_reads_everything_and_changes_nothing(
    alice: User, client_of: ClientOf
) -> None:
    client = await limited(client_of, alice, READ)
    await client.models.list()
    await client.containers.list()
    await client.files.list()
    for attempt in (
        client.containers.create(name="mine"),
        client.conversations.create(),
        client.responses.create(model="default", input="hello"),
        client.containers.delete("cntr_x"),
    ):
        with pytest.raises(openai.PermissionDeniedError):
            await attempt


async def test_a_scope_does_not_open_what_is_anothers(
    alice: User, bob: User, client_of: ClientOf
) -> None:
    owner = await limited(client_of, alice, "containers.write")
    other = await limited(client_of, bob, "containers.write")
    made = await owner.containers.create(name="alice's")
    for container in (made.id, "cntr_unknown"):
        with pytest.raises(openai.NotFoundError):
            await other.containers.retrieve(container)
    with pytest.raises(openai.AuthenticationError):
        await client_of("berth_nobody").containers.retrieve(made.id)


async def test_an_address_that_is_not_there_is_that_for_every_key(
    alice: User, client_of: ClientOf
) -> None:
    client = await limited(client_of, alice, "models.read")
    with pytest.raises(openai.NotFoundError):
        await client.get("/nothing", cast_to=httpx2.Response)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["files.write", "files.read"], ["files.write"]),
        (["files.read", "all"], ["all"]),
        (["read", "files.read", "files.write"], ["read", "files.write"]),
        (["responses.write", "models.read"], ["responses.write", "models.read"]),
    ],
)
def test_what_another_scope_includes_is_not_kept(given: list[str], kept: list[str]) -> None:
    assert normalised(given) == kept


def test_an_unknown_group_is_of_full_keys_alone() -> None:
    assert allows(["all"], "all")
    assert not allows([scope for scope in SCOPES if scope != ALL], "all")
