"""Which pages may open a websocket, told from the handshake alone."""

from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User

from sessions.models import Session
from sessions.streaming.origin import is_own_page
from tests.streaming.conftest import OpenViewer, cookie_of, path_of
from webapp.asgi import application


def handshake(
    origin: str | None, host: str = "localhost:8000", **headers: str
) -> dict[str, object]:
    named = {"host": host, **({} if origin is None else {"origin": origin}), **headers}
    pairs = [(key.replace("_", "-").encode(), value.encode()) for key, value in named.items()]
    return {"type": "websocket", "headers": pairs}


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8000", "localhost:8000"),
        ("http://127.0.0.1:41234", "127.0.0.1:41234"),
        ("http://localhost", "localhost"),
        ("http://localhost", "localhost:80"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_page_of_the_address_that_is_asked_may_connect(origin: str, host: str) -> None:
    assert is_own_page(handshake(origin, host))


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3000",
        "http://localhost",
        "https://localhost:8000",
        "http://127.0.0.1:8000",
        "http://evil.example:8000",
        "http://localhost:8000@evil.example",
        "http://evil@localhost:8000",
        "http://localhost:8000/",
        "http://localhost:8000, http://localhost:8000",
        "http://localhost:port",
        "localhost:8000",
        "null",
        "",
        None,
    ],
)
def test_page_from_elsewhere_may_not_connect(origin: str | None) -> None:
    assert not is_own_page(handshake(origin))


def test_a_name_pointed_at_this_machine_is_not_our_address() -> None:
    assert not is_own_page(handshake("http://evil.example:8000", "evil.example:8000"))


def test_a_second_origin_or_host_is_not_chosen_from() -> None:
    for name in (b"origin", b"host"):
        scope = handshake("http://localhost:8000")
        assert isinstance(scope["headers"], list)
        scope["headers"].append((name, b"http://localhost:8000"))
        assert not is_own_page(scope)


def test_public_address_may_connect_whatever_host_the_proxy_asks(
    settings: Any,
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://berth.example"]
    assert is_own_page(handshake("https://berth.example", "127.0.0.1:8000"))
    assert not is_own_page(handshake("http://berth.example", "127.0.0.1:8000"))
    assert not is_own_page(handshake("https://berth.example:8443", "127.0.0.1:8000"))


def test_scheme_is_the_one_a_trusted_proxy_tells(settings: Any) -> None:
    told = handshake("https://localhost", "localhost", x_forwarded_proto="https")
    assert not is_own_page(told)
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert is_own_page(told)
    assert not is_own_page(handshake("http://localhost", "localhost", x_forwarded_proto="https"))


async def test_page_on_another_port_cannot_use_the_cookie(
    agent_session: Session, alice: User, open_viewer: OpenViewer
) -> None:
    viewer = await open_viewer(agent_session, alice, origin="http://localhost:3000")
    assert not await viewer.connect()


async def test_handshake_without_an_origin_is_denied(agent_session: Session, alice: User) -> None:
    headers = [
        (b"host", b"localhost"),
        (b"cookie", f"sessionid={await cookie_of(alice)}".encode()),
    ]
    socket = WebsocketCommunicator(application, path_of(agent_session), headers=headers)
    is_accepted, _ = await socket.connect(timeout=20)
    assert not is_accepted
