"""Uploads in pieces, for browsers and scripts: see docs/files.md."""

import uuid
from typing import Any

from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from sessions import services
from sessions.errors import InvalidInputError, UploadOffsetError
from sessions.models import FileUpload
from sessions.runtime.upload_finish import finish_upload
from sessions.selectors import file_upload_get, file_upload_list
from sessions.web.http import UserHttpRequest, error_response, signed_in
from sessions.web.views.file_bytes import check_absent
from sessions.web.views.files import connect, json_body, path_in
from sessions.workspace.listing import entry_json
from sessions.workspace.paths import format_path

_MAX_DIGITS = 18


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
async def uploads(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    """GET: the unfinished ones. POST `{path, size, overwrite?, sha256?}` begins one."""
    if request.method != "POST":
        found = await file_upload_list(user=request.user, session_id=session_id)
        return JsonResponse({"uploads": [_upload_json(upload) for upload in found]})
    body = json_body(request)
    path, size, overwrite = path_in(body, "path"), body.get("size"), _overwrite(body, False)
    if not path:
        raise InvalidInputError("An upload needs a path.", param="path")
    if type(size) is not int or size < 0:
        raise InvalidInputError("`size` is the file's length in bytes.", param="size")
    sha256 = body.get("sha256") or ""
    if not isinstance(sha256, str):
        raise InvalidInputError("`sha256` is text.", param="sha256")
    session, sandbox = await connect(request, session_id)
    if not overwrite:
        await check_absent(sandbox, path)
    upload = await services.file_upload_create(
        session=session,
        path=format_path(path),
        size=size,
        overwrite=overwrite,
        sha256=sha256.lower(),
    )
    response = JsonResponse(_upload_json(upload), status=201)
    response["Location"] = reverse("files-upload-piece", args=[session.id, upload.id])
    return _with_offset(response, upload)


@signed_in
@require_http_methods(["GET", "HEAD", "PATCH", "DELETE"])
async def upload(
    request: UserHttpRequest, session_id: uuid.UUID, upload_id: uuid.UUID
) -> HttpResponseBase:
    """HEAD: where it goes on. PATCH: the next piece, which begins at `Upload-Offset`."""
    found = await file_upload_get(user=request.user, session_id=session_id, upload_id=upload_id)
    if request.method == "DELETE":
        await services.file_upload_discard(upload=found)
        return HttpResponse(status=204)
    if request.method == "PATCH":
        return await _append(request, found)
    return _with_offset(JsonResponse(_upload_json(found)), found)


async def _append(request: UserHttpRequest, found: FileUpload) -> HttpResponseBase:
    offset = request.headers.get("Upload-Offset", "")
    if not (offset.isascii() and offset.isdigit() and len(offset) <= _MAX_DIGITS):
        raise InvalidInputError("`Upload-Offset` says where the piece begins.", param="offset")
    services.upload_check_size(int(request.META.get("CONTENT_LENGTH") or 0), param="size")
    try:
        found.offset = await services.file_upload_append(
            upload=found, offset=int(offset), read=request.read
        )
    except UploadOffsetError as error:
        return _wrong_offset(request, found, error)
    return _with_offset(HttpResponse(status=204), found)


@signed_in
@require_POST
async def finish(
    request: UserHttpRequest, session_id: uuid.UUID, upload_id: uuid.UUID
) -> HttpResponseBase:
    """The file appears in the workspace. `{"overwrite": true}` changes what was said at first."""
    found = await file_upload_get(user=request.user, session_id=session_id, upload_id=upload_id)
    body = json_body(request) if request.META.get("CONTENT_LENGTH") not in {None, "", "0"} else {}
    _, sandbox = await connect(request, session_id)
    try:
        entry = await finish_upload(sandbox, found, overwrite=_overwrite(body, found.overwrite))
    except UploadOffsetError as error:
        return _wrong_offset(request, found, error)
    return JsonResponse(entry_json(entry))


def _overwrite(body: dict[str, Any], default: bool) -> bool:
    value = body.get("overwrite", default)
    if not isinstance(value, bool):
        raise InvalidInputError("`overwrite` is true or false.", param="overwrite")
    return value


def _upload_json(upload: FileUpload) -> dict[str, Any]:
    return {
        "id": str(upload.id),
        "path": upload.path,
        "size": upload.size,
        "offset": upload.offset,
        "finished": upload.finished_at is not None,
    }


def _with_offset(response: HttpResponse, upload: FileUpload) -> HttpResponse:
    response["Upload-Offset"] = str(upload.offset)
    response["Upload-Length"] = str(upload.size)
    response["Cache-Control"] = "no-store"
    return response


def _wrong_offset(
    request: UserHttpRequest, upload: FileUpload, error: UploadOffsetError
) -> HttpResponse:
    upload.offset = error.offset
    response = error_response(
        request, status=error.status, message=error.message, code=error.code, param=error.param
    )
    return _with_offset(response, upload)
