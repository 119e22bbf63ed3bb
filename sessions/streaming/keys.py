"""Websockets for programs, which come with an API key instead of a page's cookie."""

import re
from typing import Any

from sessions import services
from sessions.errors import BerthError, NotPermittedError, TooManyRequestsError
from sessions.models import ApiKey
from sessions.runtime.callers import header, network_of
from sessions.runtime.keys import bearer, check_scope, key_of
from sessions.streaming.protocol import (
    CLOSE_NOT_PERMITTED,
    CLOSE_NOT_SIGNED_IN,
    CLOSE_TOO_MANY,
)

READ_PATHS = re.compile(r"/ws/sessions/([0-9a-f-]{36}/)?")
"""Only to be looked at. Into what is behind any other a client can type."""


class KeyOrPage:
    """A handshake with `Authorization: Bearer KEY` is the key's user's, whatever else came with it.

    No page can make a browser send that header with a handshake, so whose page it is does not
    matter then; cookies are dropped unread. All others go to `pages`.
    """

    def __init__(self, routes: Any, *, pages: Any) -> None:
        self._routes = routes
        self._pages = pages

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        secret = bearer(header(scope, b"authorization"))
        if secret is None:
            await self._pages(scope, receive, send)
            return
        try:
            key = await _key(scope, secret)
        except BerthError as error:
            await _refuse(_close_code(error), receive, send)
            return
        if key is None:
            await _refuse(CLOSE_NOT_SIGNED_IN, receive, send)
            return
        headers = [
            pair for pair in scope["headers"] if pair[0] not in (b"cookie", b"authorization")
        ]
        await self._routes({**scope, "headers": headers, "api_key": key}, receive, send)


async def _key(scope: dict[str, Any], secret: str) -> ApiKey | None:
    """Raises: TooManyRequestsError, NotPermittedError."""
    client = scope.get("client") or ("",)
    network = network_of(str(client[0]), header(scope, b"x-forwarded-for"))
    key = await key_of(secret, network=network)
    if key is not None:
        access = "read" if READ_PATHS.fullmatch(scope["path"]) else "write"
        check_scope(key, f"sessions.{access}")
        standing = await services.request_spend(key=key)
        if standing is not None and not standing.is_allowed:
            raise services.refusal("requests", standing)
    return key


def _close_code(error: BerthError) -> int:
    if isinstance(error, NotPermittedError):
        return CLOSE_NOT_PERMITTED
    if isinstance(error, TooManyRequestsError):
        return CLOSE_TOO_MANY
    raise error


async def _refuse(code: int, receive: Any, send: Any) -> None:
    """Accepts first, for only then does the number arrive."""
    if (await receive())["type"] == "websocket.connect":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code})
