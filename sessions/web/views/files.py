"""A session's files: the tree, the viewer, and changes to names."""

import json
import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from sessions import services
from sessions.downloads.responses import etag_of, not_modified
from sessions.errors import FileAccessError, InvalidInputError
from sessions.models import ContainerState, Session
from sessions.runtime.wiring import runtime
from sessions.sandbox.base import Sandbox
from sessions.selectors import session_get
from sessions.web.http import UserHttpRequest, signed_in
from sessions.workspace.hexdump import PAGE_BYTES
from sessions.workspace.listing import PAGE_ENTRIES, entry_json, list_folder, listing_json
from sessions.workspace.paths import (
    display_name,
    format_path,
    name_of,
    parse_path,
    path_of_query_string,
)
from sessions.workspace.preview import preview_file
from sessions.workspace.rendering import Renderer

MAX_WATCHED_FOLDERS = 200

_renderer = Renderer()


async def connect(request: UserHttpRequest, session_id: uuid.UUID) -> tuple[Session, Sandbox]:
    """The session, if the user may see it, and a channel to its container, which is started
    again where it was suspended."""
    session = await session_get(user=request.user, session_id=session_id)
    sandbox = await runtime().sandboxes.connect(session)
    await services.session_touch(session=session)
    return session, sandbox


def path_of(request: HttpRequest) -> str:
    return path_of_query_string(request.META["QUERY_STRING"])


@signed_in
@require_GET
async def list_entries(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    path, limit = path_of(request), _count(request.GET.get("limit"), PAGE_ENTRIES)
    _, sandbox = await connect(request, session_id)
    listing = await list_folder(sandbox, path, limit=limit)
    etag = f'"{listing.fingerprint}"'
    if request.headers.get("If-None-Match") == etag:
        return not_modified(etag)
    limit_bytes = settings.BERTH_MAX_UPLOAD_MB * 1024 * 1024
    response = JsonResponse(listing_json(listing) | {"max_upload_bytes": limit_bytes})
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response


@signed_in
@require_POST
async def list_changes(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """What became of the open folders and the open file since the browser last asked.

    Body: `{"folders": [{"query", "fingerprint", "limit"}], "file": query or null}`. Folders that
    are as they were are left out of the answer. This is asked by pages, not by people: it neither
    starts a suspended container nor keeps one from being suspended.
    """
    wanted = json_body(request)
    folders = wanted.get("folders")
    if not isinstance(folders, list) or len(folders) > MAX_WATCHED_FOLDERS:
        raise InvalidInputError(f"Up to {MAX_WATCHED_FOLDERS} folders, please.", param="folders")
    session = await session_get(user=request.user, session_id=session_id)
    if session.container_state != ContainerState.CONNECTED:
        return JsonResponse({"folders": [], "file": None})
    sandbox = await runtime().sandboxes.connect(session)
    changed = [c for f in folders if (c := await _changed_folder(sandbox, f)) is not None]
    answer: dict[str, Any] = {"folders": changed, "file": None}
    if wanted.get("file") is not None:
        answer["file"] = await _file_now(sandbox, path_in(wanted, "file"))
    return JsonResponse(answer)


async def _changed_folder(sandbox: Sandbox, wanted: object) -> dict[str, Any] | None:
    if not isinstance(wanted, dict):
        raise InvalidInputError("A folder is an object.", param="folders")
    path, limit = path_in(wanted, "query"), _count(wanted.get("limit"), PAGE_ENTRIES)
    try:
        listing = await list_folder(sandbox, path, limit=limit)
    except FileAccessError as error:
        return {"query": format_path(path), "missing": True, "message": error.message}
    if listing.fingerprint == wanted.get("fingerprint"):
        return None
    return listing_json(listing)


async def _file_now(sandbox: Sandbox, path: str) -> dict[str, Any]:
    try:
        etag = etag_of(await sandbox.stat(path))
    except FileAccessError:
        etag = ""
    return {"query": format_path(path), "etag": etag}


@signed_in
@require_GET
async def view_file(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """The viewer's fragment. `?as=` picks a view, `?offset=` a page of the hex view."""
    path = path_of(request)
    session, sandbox = await connect(request, session_id)
    preview = await preview_file(
        sandbox,
        path,
        renderer=_renderer,
        wanted=request.GET.get("as", ""),
        offset=_count(request.GET.get("offset"), 0),
        image_url=reverse("files-image", args=[session.id]) + "?path=",
    )
    query, entry = format_path(path), preview.entry
    context = {
        "preview": preview,
        "etag": etag_of(entry),
        "query": query,
        "name": display_name(name_of(path)),
        "shown_path": display_name(path),
        "raw_url": f"{reverse('files-raw', args=[session.id])}?path={query}",
        "image_url": f"{reverse('files-image', args=[session.id])}?path={query}",
        "line_numbers": "\n".join(map(str, range(1, preview.line_count + 1))),
        "hex_start": f"{preview.offset:x}",
        "hex_previous": preview.offset - PAGE_BYTES if preview.offset else None,
        "hex_next": (
            preview.offset + PAGE_BYTES if preview.offset + PAGE_BYTES < entry.size else None
        ),
        "hex_last": max(entry.size - 1, 0) // PAGE_BYTES * PAGE_BYTES,
    }
    return render(request, "sessions/_file_view.html", context)


@signed_in
@require_POST
async def create_folder(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    path = path_in(json_body(request), "path")
    _, sandbox = await connect(request, session_id)
    return JsonResponse(entry_json(await sandbox.make_dir(_below_root(path))), status=201)


@signed_in
@require_POST
async def rename_entry(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """Renames, or moves: `target` is the whole new path."""
    body = json_body(request)
    path, target = path_in(body, "path"), path_in(body, "target")
    _, sandbox = await connect(request, session_id)
    entry = await sandbox.rename(_below_root(path), _below_root(target))
    return JsonResponse(entry_json(entry))


@signed_in
@require_POST
async def delete_entry(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    path = path_in(json_body(request), "path")
    _, sandbox = await connect(request, session_id)
    await sandbox.remove(_below_root(path))
    return HttpResponse(status=204)


def _below_root(path: str) -> str:
    if not path:
        raise InvalidInputError("The workspace itself stays as it is.", param="path")
    return path


def json_body(request: HttpRequest) -> dict[str, Any]:
    if len(request.body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 4:
        raise InvalidInputError("The request is too long.")
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("The request is not JSON.") from error
    if not isinstance(body, dict):
        raise InvalidInputError("The request is not a JSON object.")
    return body


def path_in(body: dict[str, Any], key: str) -> str:
    query = body.get(key)
    if not isinstance(query, str):
        raise InvalidInputError(f"`{key}` is a percent-encoded path.", param=key)
    return parse_path(query)


def _count(value: object, default: int) -> int:
    """A whole number from 0 on, however it was sent; `default` for anything else."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default
