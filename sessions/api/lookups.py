"""Finding what a call names, for whoever calls: what is another's is not there."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sessions import selectors
from sessions.api.endpoint import Call
from sessions.api.errors import not_found
from sessions.errors import NotFoundError
from sessions.models import (
    ApiResponse,
    Conversation,
    Session,
    Skill,
    SkillVersion,
    StoredFile,
)
from sessions.responses.ids import (
    CONTAINER,
    CONVERSATION,
    FILE,
    RESPONSE,
    SKILL,
    format_id,
    parse_id,
)

Row = TypeVar("Row")
LATEST = "latest"
"""Instead of a version's number."""


async def find_row(
    key: uuid.UUID | None,
    get: Callable[[uuid.UUID], Awaitable[Row]],
    message: str,
    param: str | None = None,
) -> Row:
    """Raises: ApiError."""
    try:
        if key is not None:
            return await get(key)
    except NotFoundError:
        pass
    raise not_found(message, param=param)


async def find_container(call: Call[Any, Any], container_id: str) -> Session:
    """Raises: ApiError."""
    return await find_row(
        parse_id(CONTAINER, container_id),
        lambda key: selectors.container_get(owner=call.user, session_id=key),
        f"Container with id '{container_id}' not found.",
    )


async def find_conversation(call: Call[Any, Any], conversation_id: str) -> Conversation:
    """Raises: ApiError."""
    return await find_row(
        parse_id(CONVERSATION, conversation_id),
        lambda key: selectors.conversation_get(owner=call.user, conversation_id=key),
        f"Conversation with id '{conversation_id}' not found.",
    )


def _no_file(file_id: str) -> str:
    return f"There is no file with the id '{file_id}'."


async def find_file(call: Call[Any, Any], file_id: str, *, param: str | None = None) -> StoredFile:
    """Raises: ApiError."""
    return await find_row(
        parse_id(FILE, file_id),
        lambda key: selectors.stored_file_get(owner=call.user, file_id=key),
        _no_file(file_id),
        param,
    )


async def find_files(call: Call[Any, Any], named: Sequence[tuple[str, str]]) -> list[StoredFile]:
    """Those of (id, param), in the same order, by one look. Raises: ApiError."""
    keys = [parse_id(FILE, file_id) for file_id, _ in named]
    found = await selectors.stored_file_rows(owner=call.user).ain_bulk(
        [key for key in keys if key is not None]
    )
    files = []
    for key, (file_id, param) in zip(keys, named, strict=True):
        if key is None or key not in found:
            raise not_found(_no_file(file_id), param=param)
        files.append(found[key])
    return files


async def find_response(call: Call[Any, Any], response_id: str) -> ApiResponse:
    """One that is not stored is there by its id only when it is in the background, to be polled.
    Raises: ApiError."""
    message = f"Response with id '{response_id}' not found."
    found = await find_row(
        parse_id(RESPONSE, response_id),
        lambda key: selectors.response_get(owner=call.user, response_id=key),
        message,
    )
    if not found.is_stored and not found.is_background:
        raise not_found(message)
    return found


async def find_skill(call: Call[Any, Any], skill_id: str, *, param: str | None = None) -> Skill:
    """Raises: ApiError."""
    return await find_row(
        parse_id(SKILL, skill_id),
        lambda key: selectors.skill_get(owner=call.user, skill_id=key),
        f"Skill with id '{skill_id}' not found.",
        param,
    )


async def find_version(skill: Skill, version: str, *, param: str | None = None) -> SkillVersion:
    """`version` is a number, or `latest`. Raises: ApiError."""
    try:
        if version == LATEST:
            return await selectors.skill_version_get(skill=skill)
        if version.isascii() and version.isdigit() and len(version) < 10:
            return await selectors.skill_version_get(skill=skill, number=int(version))
    except NotFoundError:
        pass
    message = f"Version '{version}' of skill '{format_id(SKILL, skill.id)}' not found."
    raise not_found(message, param=param)
