"""A session at rest: keep it from being suspended, start it again, take its archive home."""

import asyncio
import uuid
from collections.abc import AsyncGenerator

from django.http import HttpResponseBase, JsonResponse
from django.views.decorators.http import require_POST, require_safe

from sessions import selectors, services
from sessions.downloads.responses import PiecesResponse, content_disposition, guard_content
from sessions.errors import InvalidInputError, NotFoundError
from sessions.models import Session
from sessions.runtime.archives import SUFFIX
from sessions.runtime.wiring import runtime
from sessions.web.http import UserHttpRequest, signed_in

PIECE_BYTES = 1024 * 1024


async def _answer(request: UserHttpRequest, session: Session) -> JsonResponse:
    now = await selectors.session_get(user=request.user, session_id=session.id)
    return JsonResponse({"session": selectors.session_json(now)})


@require_POST
@signed_in
async def session_keep(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    session = await selectors.session_get(user=request.user, session_id=session_id)
    await services.session_keep(session=session)
    return await _answer(request, session)


@require_POST
@signed_in
async def session_expiry(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """`expires_after_s`: seconds without use until it is suspended, 0 for never."""
    session = await selectors.session_get(user=request.user, session_id=session_id)
    value = request.POST.get("expires_after_s", "")
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise InvalidInputError(
            "`expires_after_s` is a number of seconds.", param="expires_after_s"
        )
    await services.session_set_expiry(session=session, expires_after_s=int(value))
    return await _answer(request, session)


@require_POST
@signed_in
async def session_resume(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """A container for a session that has none; an archived workspace is restored first."""
    session = await selectors.session_get(user=request.user, session_id=session_id)
    await runtime().sandboxes.connect(session)
    await services.session_touch(session=session)
    return await _answer(request, session)


@require_safe
@signed_in
async def workspace_archive(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """The `tar.zst` of a workspace that was archived; 404 while it is not."""
    session = await selectors.session_get(user=request.user, session_id=session_id)
    if session.archived_at is None:
        raise NotFoundError("This workspace is not archived.")
    pieces = _pieces(session)
    response = PiecesResponse(pieces, "application/zstd")
    response["Content-Length"] = str(session.archive_bytes)
    name = f"workspace-{str(session.id)[:8]}{SUFFIX}"
    response["Content-Disposition"] = content_disposition("attachment", name)
    guard_content(response)
    return response


async def _pieces(session: Session) -> AsyncGenerator[bytes, None]:
    """Opened once: the bytes stay readable while the workspace is being restored."""
    file = await asyncio.to_thread(runtime().sandboxes.archives.path(session.id).open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece
    finally:
        await asyncio.to_thread(file.close)
