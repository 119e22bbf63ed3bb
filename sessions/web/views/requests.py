"""What programs asked of a session through the API, as it was sent and as it was answered."""

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from sessions import selectors
from sessions.events import log
from sessions.models import ApiResponse
from sessions.responses.ids import RESPONSE, format_id
from sessions.responses.resource import resource
from sessions.responses.settle import settle, translation_of
from sessions.web.http import UserHttpRequest, signed_in

MAX_SHOWN = 100
MAX_SHOWN_BYTES = 200_000
"""Of one request or answer; the whole is at the API."""


@dataclass(frozen=True, slots=True)
class Row:
    id: uuid.UUID
    name: str
    status: str
    response: ApiResponse
    asked: str
    answered: str


@require_GET
@signed_in
async def requests_page(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    session = await selectors.session_get(user=request.user, session_id=session_id)
    responses = await selectors.session_responses(session=session, limit=MAX_SHOWN)
    context = {
        "agent_session": session,
        "session_id": session.id,
        "rows": [_row(await settle(response)) for response in responses],
    }
    return render(request, "sessions/requests.html", context)


def _row(response: ApiResponse) -> Row:
    answered = resource(response)
    given = {"include", *response.request["given"]} - {"input", "model"}
    sent = {name: value for name, value in response.request.items() if name in given}
    asked = {"input": response.input, **sent}
    kept = {"id", "status", "error", "incomplete_details", "output", "usage"}
    return Row(
        id=response.id,
        name=format_id(RESPONSE, response.id),
        status=response.status.replace("_", " "),
        response=response,
        asked=_pretty(asked),
        answered=_pretty({key: value for key, value in answered.items() if key in kept}),
    )


def _pretty(value: object) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) <= MAX_SHOWN_BYTES:
        return text
    return f"{text[:MAX_SHOWN_BYTES]}\n… {len(text) - MAX_SHOWN_BYTES:,} more characters"


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
    for event in translation.opening():
        yield _line(event)
    after, session_id = response.first_seq, response.session_id
    while (
        translation.outcome is None
        and session_id is not None
        and (batch := await log.read(session_id, after=after))
    ):
        after = batch[-1].seq
        for stored in batch:
            for event in translation.feed(stored):
                yield _line(event)


def _line(event: object) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode() + b"\n"
