"""Websockets for programs, which come with an API key instead of a page's cookie."""

import re
from typing import Any

from sessions.errors import BerthError, NotPermittedError, TooManyRequestsError
from sessions.runtime.callers import header
from sessions.runtime.keys import bearer, socket_key
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
        if bearer(header(scope, b"authorization")) is None:
            await self._pages(scope, receive, send)
            return
        access = "read" if READ_PATHS.fullmatch(scope["path"]) else "write"
        try:
            key = await socket_key(scope, needed=f"sessions.{access}")
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
