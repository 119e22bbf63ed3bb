"""Websockets for pages of our own alone.

A browser sends its cookie with a handshake whoever's page opened it, and no rule of same origin
keeps that page from reading the answers. Host names do not tell pages apart: what another port of
this machine serves is somebody else's.
"""

from typing import Any, NamedTuple
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from sessions.runtime.callers import header

DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int


class SameOriginValidator:
    """Denies a handshake unless a page of this address, or of `CSRF_TRUSTED_ORIGINS`, made it.

    A browser always says where its page is from, so a handshake that does not is denied as well.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        # A consumer's scope is typed as that of a whole connection.
        denier: Any = WebsocketDenier()
        application = self._application if is_own_page(scope) else denier
        await application(scope, receive, send)


def is_own_page(scope: dict[str, Any]) -> bool:
    origin = parse_origin(header(scope, b"origin"))
    if origin is None:
        return False
    trusted = {parse_origin(url) for url in settings.CSRF_TRUSTED_ORIGINS}
    return origin == _requested(scope) or origin in trusted


def parse_origin(text: str) -> Origin | None:
    """None for `null` and for whatever is not exactly scheme, host and perhaps port."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    is_bare = text == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or not is_bare:
        return None
    default = DEFAULT_PORTS[parts.scheme]
    return Origin(parts.scheme, parts.hostname, default if port is None else port)


def _requested(scope: dict[str, Any]) -> Origin | None:
    """The address that the browser asked, which must be one of ours: names can be pointed here."""
    host = header(scope, b"host")
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        return None
    return parse_origin(f"{'https' if _is_secure(scope) else 'http'}://{host}")


def _is_secure(scope: dict[str, Any]) -> bool:
    """As Django decides it for pages, which do not see the scheme of a websocket."""
    proxy: tuple[str, str] | None = settings.SECURE_PROXY_SSL_HEADER
    if proxy is not None:
        key, secure = proxy
        name = key.removeprefix("HTTP_").replace("_", "-").lower().encode()
        return header(scope, name).split(",")[0].strip() == secure
    return scope.get("scheme") in {"wss", "https"}
