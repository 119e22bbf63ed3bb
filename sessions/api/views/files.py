"""`/v1/files`: files kept here, to be given to containers and models by their ids."""

from typing import ClassVar, Literal

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponseBase
from pydantic import Field

from sessions import selectors, services
from sessions.api.endpoint import Call, operation
from sessions.api.errors import ApiError
from sessions.api.lookups import find_file
from sessions.api.paging import page_of_rows
from sessions.api.schema import (
    Deleted,
    FormFiles,
    Identified,
    ListPage,
    NoBody,
    NoQuery,
    PageQuery,
    RequestPart,
    Unmodelled,
)
from sessions.downloads.stored import stored_response
from sessions.models import StoredFile
from sessions.responses.ids import FILE, format_id, parse_id

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
MIN_LIFE_S = 3600
MAX_LIFE_S = 30 * 24 * 3600
MAX_NAME_LENGTH = 255


class File(Identified):
    absent_when_none: ClassVar[bool] = True

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class FileList(ListPage[File]):
    pass


class CreateFile(RequestPart):
    """The fields of a form beside the part `file`."""

    purpose: Purpose
    anchor: Literal["created_at"] | None = Field(None, alias="expires_after[anchor]")
    seconds: int | None = Field(
        None, alias="expires_after[seconds]", strict=False, ge=MIN_LIFE_S, le=MAX_LIFE_S
    )


class FilesQuery(PageQuery):
    limit: int = Field(10_000, ge=1, le=10_000)
    purpose: str | None = None


def _resource(file: StoredFile) -> File:
    return File(
        id=format_id(FILE, file.id),
        bytes=file.size,
        created_at=int(file.created_at.timestamp()),
        expires_at=int(file.expires_at.timestamp()) if file.expires_at else None,
        filename=file.filename,
        purpose=file.purpose,
    )


def sent_file(request: HttpRequest) -> UploadedFile:
    """The one part `file` of a form. Raises: ApiError, FileTooLargeError."""
    sent = request.FILES.getlist("file")
    if len(sent) != 1 or not isinstance(sent[0], UploadedFile):
        raise ApiError(
            400,
            "Send one file as the part `file` of a form.",
            param="file",
            code="missing_required_parameter",
        )
    services.upload_check_size(sent[0].size or 0, param="file")
    return sent[0]


@operation(
    summary="Keep a file",
    body=CreateFile,
    returns=File,
    unmodelled=Unmodelled(files=FormFiles(("file",), "The file.")),
)
async def file_create(call: Call[CreateFile, NoQuery]) -> File:
    if call.body.anchor is not None and call.body.seconds is None:
        param = "expires_after[seconds]"
        raise ApiError(
            400, f"'{param}' is missing.", param=param, code="missing_required_parameter"
        )
    sent = sent_file(call.http)
    file = await services.stored_file_create(
        owner=call.user,
        filename=(sent.name or "file")[:MAX_NAME_LENGTH],
        purpose=call.body.purpose,
        read=sent.read,
        expires_after_s=call.body.seconds,
    )
    return _resource(file)


@operation(summary="List files", query=FilesQuery, returns=FileList)
async def file_list(call: Call[NoBody, FilesQuery]) -> FileList:
    rows = selectors.stored_file_rows(owner=call.user)
    if call.query.purpose is not None:
        rows = rows.filter(purpose=call.query.purpose)
    page, has_more = await page_of_rows(rows, call.query, parse_id(FILE, call.query.after or ""))
    data = [_resource(file) for file in page]
    return FileList.of(data, has_more=has_more)


@operation(summary="One file", returns=File)
async def file_get(call: Call[NoBody, NoQuery], file_id: str) -> File:
    return _resource(await find_file(call, file_id))


@operation(summary="Delete a file", returns=Deleted)
async def file_delete(call: Call[NoBody, NoQuery], file_id: str) -> Deleted:
    """Copies that containers have of it stay."""
    await services.stored_file_delete(file=await find_file(call, file_id))
    return Deleted(id=file_id, object="file")


@operation(summary="The bytes of a file")
async def file_content(call: Call[NoBody, NoQuery], file_id: str) -> HttpResponseBase:
    file = await find_file(call, file_id)
    return stored_response(
        call.http,
        services.stored_file_path(file.id),
        size=file.size,
        filename=file.filename,
        content_type="application/octet-stream",
    )
