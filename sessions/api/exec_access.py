"""Who may have a terminal in a container."""

from contextlib import suppress
from typing import Any

from sessions import selectors, services
from sessions.api.errors import ApiError, from_berth, not_found
from sessions.errors import BerthError, NotFoundError
from sessions.models import ApiKey, Session
from sessions.responses.ids import CONTAINER, parse_id
from sessions.runtime.keys import socket_key

SCOPE = "containers.write"


async def key_of_program(scope: dict[str, Any]) -> ApiKey:
    """By API key alone: a page of somebody else's cannot send one along. Raises: ApiError."""
    try:
        key = await socket_key(scope, needed=SCOPE)
    except BerthError as error:
        raise from_berth(error) from error
    if key is None:
        raise unauthorized("No API key was given that is known.")
    return key


def unauthorized(message: str) -> ApiError:
    hint = "Send one in a header: `Authorization: Bearer KEY`."
    return ApiError(
        401,
        f"{message} {hint}",
        code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer"},
    )


async def container_for(key: ApiKey, container_id: str) -> Session:
    """Raises: ApiError."""
    session_id = parse_id(CONTAINER, container_id)
    if session_id is not None:
        with suppress(NotFoundError):
            return await selectors.container_get(owner=key.user, session_id=session_id)
    raise not_found(f"Container with id '{container_id}' not found.")


async def check_still(key: ApiKey, container_id: str) -> None:
    """Whether key and container are still there. Raises: ApiError."""
    if await services.api_key_still_live(key_id=key.id) is None:
        raise unauthorized("The API key has been revoked.")
    await container_for(key, container_id)


async def deny(scope: dict[str, Any], send: Any, error: ApiError, *, close_code: int) -> None:
    """An answer in place of the upgrade, in the API's shape where the server can send one."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": close_code})
        return
    answer = error.to_response()
    headers = [(name.lower().encode(), text.encode()) for name, text in answer.headers.items()]
    await send(
        {"type": "websocket.http.response.start", "status": error.status, "headers": headers}
    )
    await send({"type": "websocket.http.response.body", "body": answer.content})
