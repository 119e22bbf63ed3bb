"""The bytes of a session's files: downloads, images, archives and uploads."""

import asyncio
import uuid
from collections.abc import AsyncIterator

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from sessions import services
from sessions.downloads.ranges import Span, requested_span
from sessions.downloads.responses import (
    PiecesResponse,
    content_disposition,
    etag_of,
    guard_content,
    not_modified,
    range_refused,
    span_response,
)
from sessions.errors import (
    EntryExistsError,
    EntryNotFoundError,
    FileTooLargeError,
    InvalidInputError,
    WrongEntryKindError,
)
from sessions.sandbox.base import Sandbox
from sessions.web.http import UserHttpRequest, signed_in
from sessions.web.views.files import connect, path_of
from sessions.workspace.archive import open_archive
from sessions.workspace.files import begun, read_exactly, read_head, stat_file
from sessions.workspace.listing import entry_json
from sessions.workspace.paths import name_of
from sessions.workspace.preview import MAX_IMAGE_BYTES
from sessions.workspace.sniff import HEAD_BYTES, image_type

UPLOAD_CHUNK_BYTES = 256 * 1024


@signed_in
@require_safe
async def download_file(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    path = path_of(request)
    _, sandbox = await connect(request, session_id)
    entry = await stat_file(sandbox, path)
    etag = etag_of(entry)
    if request.headers.get("If-None-Match") == etag:
        return not_modified(etag)
    span = requested_span(request, size=entry.size, etag=etag)
    if span is None:
        return range_refused(entry.size)
    pieces = read_exactly(sandbox, entry.path, offset=span.offset, length=span.length)
    return span_response(
        request,
        pieces if request.method == "HEAD" else await begun(pieces),
        span=span,
        etag=etag,
        content_type="application/octet-stream",
        disposition=content_disposition("attachment", name_of(path)),
    )


@signed_in
@require_safe
async def show_image(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """A raster image, told by its first bytes; anything a browser could run is refused."""
    path = path_of(request)
    _, sandbox = await connect(request, session_id)
    entry = await stat_file(sandbox, path)
    etag = etag_of(entry)
    if request.headers.get("If-None-Match") == etag:
        return not_modified(etag)
    content_type = image_type(await read_head(sandbox, entry.path, length=HEAD_BYTES))
    if content_type is None:
        raise WrongEntryKindError("This is not an image.", param="path")
    if entry.size > MAX_IMAGE_BYTES:
        raise FileTooLargeError("The image is too large to be shown.", param="path")
    return span_response(
        request,
        read_exactly(sandbox, entry.path, offset=0, length=entry.size),
        span=Span(0, entry.size, entry.size, is_partial=False),
        etag=etag,
        content_type=content_type,
        disposition=content_disposition("inline", name_of(path)),
    )


@signed_in
@require_GET
async def download_archive(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """A folder as a zip, or everything; its length is not known before its end."""
    path = path_of(request)
    session, sandbox = await connect(request, session_id)
    root_name = f"workspace-{str(session.id)[:8]}"
    name, pieces = await open_archive(sandbox, path, format="zip", root_name=root_name)
    response = PiecesResponse(pieces, "application/zip")
    response["Content-Disposition"] = content_disposition("attachment", name)
    guard_content(response)
    return response


@signed_in
@require_http_methods(["PUT"])
async def upload_file(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """The body is the file. `?overwrite=1` replaces one that exists, which is a 409 otherwise."""
    path = path_of(request)
    if not path:
        raise InvalidInputError("An upload needs a path.", param="path")
    services.upload_check_size(int(request.META.get("CONTENT_LENGTH") or 0), param="path")
    overwrite = request.GET.get("overwrite") == "1"
    _, sandbox = await connect(request, session_id)
    if not overwrite:
        await check_absent(sandbox, path)
    entry = await sandbox.write_file(path, _body(request), overwrite=overwrite)
    return JsonResponse(entry_json(entry), status=201)


async def check_absent(sandbox: Sandbox, path: str) -> None:
    """Asked first, so that a long body is not carried into the container for nothing."""
    try:
        await sandbox.stat(path)
    except EntryNotFoundError:
        return
    raise EntryExistsError("There is something with that name already.", param="path")


async def _body(request: HttpRequest) -> AsyncIterator[bytes]:
    """The spooled body in pieces; reading the spool may wait for the disk.

    Raises: FileTooLargeError, for a length that was not told before.
    """
    size = 0
    while piece := await asyncio.to_thread(request.read, UPLOAD_CHUNK_BYTES):
        size += len(piece)
        services.upload_check_size(size, param="path")
        yield piece
