"""What programs asked of a session through the API, as it was sent and as it was answered."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from sessions import selectors
from sessions.models import ApiResponse, ChatCompletion, Session
from sessions.responses.ids import RESPONSE, format_id
from sessions.responses.included import CODE_OUTPUTS, SEARCH_RESULTS
from sessions.responses.resource import resource
from sessions.responses.settle import events_so_far, settle, translation_of
from sessions.web.http import UserHttpRequest, signed_in

MAX_LISTED = 200
MAX_SHOWN_CHARACTERS = 1_000_000
"""Of a request or an answer; the whole is at the API."""
ANSWERED = ("status", "error", "incomplete_details", "output", "usage")


@require_GET
@signed_in
async def requests_page(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """The newest first, without what was sent and answered: that may be large."""
    session = await selectors.session_get(user=request.user, session_id=session_id)
    if session.is_chat:
        chats = selectors.session_chats(session=session).order_by("-created_at")
        named = [_named_chat(row) async for row in chats.defer("request", "answer")[:MAX_LISTED]]
    else:
        rows = selectors.session_responses(session=session).order_by("-created_at")
        rows = rows.defer("request", "input", "output")
        named = [_named(row) async for row in rows[:MAX_LISTED]]
    context = {"agent_session": session, "session_id": session.id, "responses": named}
    return render(request, "sessions/requests.html", context)


@require_GET
@signed_in
async def request_page(
    request: UserHttpRequest, session_id: uuid.UUID, response_id: uuid.UUID
) -> HttpResponseBase:
    session = await selectors.session_get(user=request.user, session_id=session_id)
    if session.is_chat:
        chat = await selectors.session_chat_get(session=session, chat_id=response_id)
        return render(request, "sessions/request.html", _chat_context(session, chat))
    response = await selectors.session_response_get(session=session, response_id=response_id)
    response = await settle(response)
    given = response.request["given"]
    sent = {name: value for name, value in response.request.items() if name in given}
    answered = resource(response, include=(CODE_OUTPUTS, SEARCH_RESULTS))
    context = {
        "agent_session": session,
        "session_id": session.id,
        **_named(response),
        "asked": _pretty({"input": response.input, **sent}),
        "answered": _pretty({name: answered.get(name) for name in ANSWERED}),
    }
    return render(request, "sessions/request.html", context)


def _chat_context(session: Session, chat: ChatCompletion) -> dict[str, Any]:
    return {
        "agent_session": session,
        "session_id": session.id,
        **_named_chat(chat),
        "asked": _pretty(chat.request),
        "answered": _pretty(chat.answer or {"error": chat.error}),
    }


def _named_chat(chat: ChatCompletion) -> dict[str, Any]:
    return {
        "response": chat,
        "name": chat.name or "chat completion",
        "status": chat.status.replace("_", " "),
    }


def _named(response: ApiResponse) -> dict[str, Any]:
    return {
        "response": response,
        "name": format_id(RESPONSE, response.id),
        "status": response.status.replace("_", " "),
    }


def _pretty(value: object) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) <= MAX_SHOWN_CHARACTERS:
        return text
    return f"{text[:MAX_SHOWN_CHARACTERS]}\n… {len(text) - MAX_SHOWN_CHARACTERS:,} more characters"


@require_GET
@signed_in
async def request_events(
    request: UserHttpRequest, session_id: uuid.UUID, response_id: uuid.UUID
) -> HttpResponseBase:
    """The events of a stream so far, one JSON object a line."""
    session = await selectors.session_get(user=request.user, session_id=session_id)
    response = await selectors.session_response_get(session=session, response_id=response_id)
    return StreamingHttpResponse(_events(response), content_type="text/plain; charset=utf-8")


async def _events(response: ApiResponse) -> AsyncIterator[bytes]:
    translation = await translation_of(response)
    async for event in events_so_far(translation, response):
        yield json.dumps(event, ensure_ascii=False).encode() + b"\n"
