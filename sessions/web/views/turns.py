"""Messages to a session: send one, take a waiting one back, stop the running one."""

import uuid

from django.http import HttpResponseBase, JsonResponse
from django.views.decorators.http import require_POST

from sessions import selectors, services
from sessions.errors import InvalidInputError
from sessions.web.forms import uploads
from sessions.web.http import UserHttpRequest, signed_in

MAX_TURN_NUMBER = 2**31 - 1


@require_POST
@signed_in
async def turn_create(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    session = await selectors.session_get(user=request.user, session_id=session_id)
    turn = await services.turn_submit(
        session=session,
        text=request.POST.get("text", ""),
        files=uploads(request.FILES.getlist("files")),
    )
    return JsonResponse({"turn": turn.number}, status=201)


@require_POST
@signed_in
async def turn_remove(
    request: UserHttpRequest, session_id: uuid.UUID, number: int
) -> HttpResponseBase:
    session = await selectors.session_get(user=request.user, session_id=session_id)
    if number > MAX_TURN_NUMBER:
        raise InvalidInputError("There is no message with this number.", param="number")
    await services.turn_remove(session=session, number=number)
    return JsonResponse({"removed": number})


@require_POST
@signed_in
async def session_stop(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """`stopping` is false when nothing ran: it had ended by itself just before."""
    session = await selectors.session_get(user=request.user, session_id=session_id)
    is_stopping = await services.turn_stop(session=session)
    return JsonResponse({"stopping": is_stopping})
