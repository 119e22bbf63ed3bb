"""A response as it is given back."""

import uuid
from collections.abc import Collection
from typing import Any

from django.conf import settings

from sessions.models import ApiResponse
from sessions.providers.patches import APPLY_PATCH
from sessions.responses.ids import CONTAINER, CONVERSATION, RESPONSE, format_id
from sessions.responses.namespaces import names_apart, tools_apart
from sessions.responses.output_items import Origin
from sessions.responses.searching import FILE_SEARCH
from sessions.responses.translate import About, Outcome, response_of

SHELL = "shell"
TOOL_SEARCH = "tool_search"
_INNER = frozenset(
    {
        "include",
        "given",
        "found",
        "sent_text",
        "local_skills",
        "compaction",
        "code_container",
        "file_ids",
    }
)
"""What of a request is not given back: what to include, which fields were sent at all, the
functions that the program's own search for tools brought up, skills of its own, how the
conversation is kept short, where code is interpreted, and which files its container was given."""


def live_url(session_id: uuid.UUID) -> str:
    """Where a person watches it work."""
    return f"{settings.BERTH_URL}/sessions/{session_id}/"


def about(response: ApiResponse, turn: int, include: Collection[str] = ()) -> About:
    """`turn` is the number of its turn; 0 when that is gone. `include` is asked for beside what the
    program asked for in the first place."""
    tools = tools_apart(response.request["tools"])
    theirs = {tool["name"]: tool["type"] for tool in tools if "name" in tool}
    theirs |= {tool["name"]: "function" for tool in response.request["found"]}
    container_id = None
    for tool in tools:
        if tool["type"] == SHELL:
            container_id = tool["environment"].get("container_id")
        if tool["type"] in (TOOL_SEARCH, APPLY_PATCH) or (
            tool["type"] == SHELL and container_id is None
        ):
            theirs[tool["type"]] = tool["type"]
    return About(
        origin=Origin(response.id, response.session_id or response.id),
        turn=turn,
        skeleton=skeleton(response),
        callers_tools=theirs,
        namespaces=names_apart([*tools, *response.request["found"]]),
        container_id=container_id,
        is_background=response.is_background,
        code_container_id=response.request.get("code_container"),
        include=frozenset([*response.request["include"], *include]),
        has_file_search=any(tool["type"] == FILE_SEARCH for tool in tools),
    )


def container_of(session_id: uuid.UUID) -> str:
    """How the API names the container of a session."""
    return format_id(CONTAINER, session_id)


def skeleton(response: ApiResponse) -> dict[str, Any]:
    """All but what comes of it, which is as of its beginning."""
    asked = {key: value for key, value in response.request.items() if key not in _INNER}
    session_id = response.session_id
    return {
        "id": format_id(RESPONSE, response.id),
        "object": "response",
        "created_at": int(response.created_at.timestamp()),
        "status": "in_progress",
        "background": response.is_background,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": response.model,
        "output": [],
        "previous_response_id": (
            format_id(RESPONSE, response.previous_id) if response.previous_id else None
        ),
        "conversation": (
            {"id": format_id(CONVERSATION, response.conversation_id)}
            if response.conversation_id
            else None
        ),
        "store": response.is_stored,
        **asked,
        "live_url": live_url(session_id) if session_id else None,
    }


def resource(response: ApiResponse, include: Collection[str] = ()) -> dict[str, Any]:
    """As it stands, with what the program asked for or asks for now."""
    if not response.has_ended:
        return {**skeleton(response), "status": response.status}
    wanted = [*response.request["include"], *include]
    return response_of(skeleton(response), outcome_of(response), wanted)


def outcome_of(response: ApiResponse) -> Outcome:
    """Of one that has ended."""
    return Outcome(
        status=response.status,  # type: ignore[arg-type]  # one of the four
        output=response.output or [],
        input_tokens=response.input_tokens,
        output_tokens=response.output_tokens,
        error=response.error,
        incomplete_reason=response.incomplete_reason,
        completed_at=int(response.completed_at.timestamp()) if response.completed_at else 0,
    )
