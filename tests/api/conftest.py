"""The official client in front of the real door, over guests that are child processes.

Each JSON answer is held against the published document, and against our own, as it comes.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import httpx2
import openai
import pytest
from django.contrib.auth.models import User

from sessions import services
from sessions.providers.registry import ProviderConfig
from sessions.runtime.models import ConfiguredModels
from sessions.runtime.process import Runtime
from sessions.runtime.request_bodies import SpoolingHandler
from tests.api.contract import event_schema, problems, schema_of
from tests.api.own_document import own_event_schema, own_problems, own_schema_of
from tests.providers.wire_server import WireServer
from tests.runtime.conftest import supervisor
from tests.serve.conftest import docker_server, running_docker_server
from tests.serve.server_process import ServerProcess, manage

__all__ = ["docker_server", "supervisor"]

BASE_URL = "http://testserver/v1"

ENDPOINT_KEY = "sk-endpoint-secret"

ClientOf = Callable[[str], openai.AsyncOpenAI]


def events_in(text: str) -> list[dict[str, Any]]:
    """Of a stream: each is named twice, and nothing but comments is between them."""
    events = []
    for block in text.split("\n\n")[:-1]:
        if block.startswith(":"):
            continue
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


async def hold_against_the_document(response: httpx2.Response) -> None:
    """The published one and ours. Raises: AssertionError."""
    kind = response.headers.get("content-type", "")
    if "json" not in kind and "event-stream" not in kind:
        return
    await response.aread()
    request = response.request
    if "event-stream" in kind and request.url.path.endswith("/chat/completions"):
        return  # as an endpoint sent it; the client checks each part
    if "event-stream" in kind:
        for event in events_in(response.text):
            wrong = problems(event_schema(event["type"]), event)
            wrong += own_problems(own_event_schema(event["type"]), event)
            assert not wrong, f"{event}: {wrong}"
        return
    path = request.url.path.removeprefix("/v1")
    own = own_schema_of(request.method, path, response.status_code)
    if own is not None:
        wrong = own_problems(own, json.loads(response.content))
        assert not wrong, f"{request.method} {request.url}: {wrong}"
    schema = schema_of(request.method, path, response.status_code)
    if schema is not None:
        wrong = problems(schema, json.loads(response.content))
        assert not wrong, f"{request.method} {request.url}: {wrong}"


@pytest.fixture
async def client_of(sandbox_runtime: Runtime) -> AsyncIterator[ClientOf]:
    """Makes a client for a key."""
    opened: list[openai.AsyncOpenAI] = []

    def make(secret: str) -> openai.AsyncOpenAI:
        http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=cast("Any", SpoolingHandler())),
            event_hooks={"response": [hold_against_the_document]},
        )
        client = openai.AsyncOpenAI(
            api_key=secret,
            base_url=BASE_URL,
            http_client=http,
            max_retries=0,
            _strict_response_validation=True,
        )
        opened.append(client)
        return client

    yield make
    for client in opened:
        await client.close()


HttpOf = Callable[[str | None], httpx2.AsyncClient]


@pytest.fixture
async def http_of(sandbox_runtime: Runtime) -> AsyncIterator[HttpOf]:
    """Makes a bare client for a key, or for none: for what the official one does not know."""
    opened: list[httpx2.AsyncClient] = []

    def make(secret: str | None) -> httpx2.AsyncClient:
        http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=cast("Any", SpoolingHandler())),
            base_url=BASE_URL,
            headers={"Authorization": f"Bearer {secret}"} if secret else {},
            timeout=60,
        )
        opened.append(http)
        return http

    yield make
    for http in opened:
        await http.aclose()


@pytest.fixture
async def http(alice: User, http_of: HttpOf) -> httpx2.AsyncClient:
    """The owner's."""
    _, secret = await services.api_key_create(user=alice, name="bare")
    return http_of(secret)


@pytest.fixture
async def bobs_http(bob: User, http_of: HttpOf) -> httpx2.AsyncClient:
    _, secret = await services.api_key_create(user=bob, name="bare")
    return http_of(secret)


@pytest.fixture
async def client(alice: User, client_of: ClientOf) -> openai.AsyncOpenAI:
    """The owner's."""
    _, secret = await services.api_key_create(user=alice, name="tests")
    return client_of(secret)


def lenient(client: openai.AsyncOpenAI) -> openai.AsyncOpenAI:
    """The same one as programs have it, for what the hosted API answers beside its own types."""
    return openai.AsyncOpenAI(
        api_key=client.api_key,
        base_url=BASE_URL,
        http_client=client._client,
        max_retries=0,
    )


@pytest.fixture
async def bobs_client(bob: User, client_of: ClientOf) -> openai.AsyncOpenAI:
    """Of another user, who must never see what is alice's."""
    _, secret = await services.api_key_create(user=bob, name="tests")
    return client_of(secret)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server with real containers, for all tests that only need one."""
    with running_docker_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def api_key(api_server: ServerProcess) -> str:
    """The administrator's, at `api_server`."""
    return make_key(api_server)


def make_key(server: ServerProcess) -> str:
    made = manage(server.environment, "create_api_key", "admin", "tests")
    return made.stdout.strip().splitlines()[-1].split()[-1]


@pytest.fixture
def at_endpoint(sandbox_runtime: Runtime, settings) -> Callable[..., None]:
    """Let the models of the test be those of a stub server."""

    def use(wire: WireServer, *, api: Any = "chat", any_name: bool | None = None) -> None:
        settings.BERTH_ANY_MODEL_NAME = any_name
        config = ProviderConfig(
            models=("upstream-1",),
            openai_api_key=ENDPOINT_KEY,
            openai_base_url=wire.base_url,
            openai_api=api,
        )
        sandbox_runtime.models = ConfiguredModels(config, None)

    return use
