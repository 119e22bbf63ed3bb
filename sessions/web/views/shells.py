"""Terminals people open for themselves in a session's container."""

import uuid

from django.http import HttpResponseBase, JsonResponse
from django.views.decorators.http import require_http_methods, require_POST

from sessions import selectors, services
from sessions.errors import InvalidInputError
from sessions.runtime.wiring import runtime
from sessions.web.http import UserHttpRequest, signed_in


@require_http_methods(["GET", "POST"])
@signed_in
async def shells(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """The session's shells, or with POST a new one of the person's own.

    Of its fields `columns`, `rows` and `viewer` the last names the page that is to have the
    keyboard; without it, it is the first of theirs that looks.
    """
    if request.method == "GET":
        rows = await selectors.shell_list(user=request.user, session_id=session_id)
        return JsonResponse({"shells": [row.to_json() for row in rows]})
    session = await selectors.session_get(user=request.user, session_id=session_id)
    size = services.shell_size(_number(request, "columns", 80), _number(request, "rows", 24))
    viewer = services.viewer_token(request.POST["viewer"]) if "viewer" in request.POST else ""
    row = await runtime().shells.open(session=session, user=request.user, size=size, viewer=viewer)
    return JsonResponse({"shell": row.to_json()}, status=201)


def _number(request: UserHttpRequest, name: str, default: int) -> int:
    try:
        return int(request.POST.get(name, default))
    except ValueError:
        raise InvalidInputError(f"`{name}` is not a number.", param=name) from None


@require_POST
@signed_in
async def shell_close(
    request: UserHttpRequest, session_id: uuid.UUID, shell_id: str
) -> HttpResponseBase:
    """Kill all that runs in it."""
    row = await selectors.shell_get(user=request.user, session_id=session_id, shell_id=shell_id)
    await runtime().shells.close_shell(row)
    await row.arefresh_from_db()
    return JsonResponse({"shell": row.to_json()})
