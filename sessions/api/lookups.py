"""Finding what a call names, for whoever calls: what is another's is not there."""

from typing import Any

from sessions import selectors
from sessions.api.endpoint import Call
from sessions.api.errors import not_found
from sessions.errors import NotFoundError
from sessions.models import ApiResponse, Conversation, Session, StoredFile
from sessions.responses.ids import CONTAINER, CONVERSATION, FILE, RESPONSE, parse_id


async def find_container(call: Call[Any, Any], container_id: str) -> Session:
    """Raises: ApiError."""
    session_id = parse_id(CONTAINER, container_id)
    try:
        if session_id is not None:
            rows = selectors.container_rows(owner=call.user).select_related("owner")
            return await rows.aget(id=session_id)
    except Session.DoesNotExist:
        pass
    raise not_found(f"Container with id '{container_id}' not found.")


async def find_conversation(call: Call[Any, Any], conversation_id: str) -> Conversation:
    """Raises: ApiError."""
    key = parse_id(CONVERSATION, conversation_id)
    try:
        if key is not None:
            return await selectors.conversation_get(owner=call.user, conversation_id=key)
    except NotFoundError:
        pass
    raise not_found(f"Conversation with id '{conversation_id}' not found.")


async def find_file(call: Call[Any, Any], file_id: str, *, param: str | None = None) -> StoredFile:
    """Raises: ApiError."""
    key = parse_id(FILE, file_id)
    try:
        if key is not None:
            return await selectors.stored_file_get(owner=call.user, file_id=key)
    except NotFoundError:
        pass
    raise not_found(f"There is no file with the id '{file_id}'.", param=param)


async def find_response(call: Call[Any, Any], response_id: str) -> ApiResponse:
    """Raises: ApiError."""
    key = parse_id(RESPONSE, response_id)
    try:
        if key is not None:
            return await selectors.response_get(owner=call.user, response_id=key)
    except NotFoundError:
        pass
    raise not_found(f"Response with id '{response_id}' not found.")
