"""`/v1/containers/{id}/files`: the files of a workspace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponseBase
from pydantic import Field

from sessions import services
from sessions.api.container_contents import put_file, put_stored_file
from sessions.api.endpoint import Call, operation
from sessions.api.errors import not_found
from sessions.api.lookups import find_container, find_file
from sessions.api.paging import unknown_after
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
    with_example,
)
from sessions.api.views.files import sent_file
from sessions.downloads.ranges import Span
from sessions.downloads.responses import content_disposition, etag_of, span_response
from sessions.errors import EntryNotFoundError, WrongEntryKindError
from sessions.models import ContainerFile, Session
from sessions.responses.ids import CONTAINER, CONTAINER_FILE, format_id, parse_id
from sessions.runtime.wiring import runtime
from sessions.sandbox.base import Entry, Sandbox
from sessions.workspace.files import begun, read_exactly, stat_file
from sessions.workspace.paths import display_name, format_path, name_of, parse_path
from sessions.workspace.walk import walk_files

ROOT = "/mnt/data"
"""Where the hosted containers have their files; in ours it leads to the workspace."""
PIECE_BYTES = 256 * 1024


class File(Identified):
    id: str
    object: Literal["container.file"] = "container.file"
    container_id: str
    created_at: int
    bytes: int
    path: str
    source: Literal["user", "assistant"]


class FileList(ListPage[File]):
    pass


class AddFile(RequestPart):
    model_config = with_example(file_id="file-0123456789abcdef0123456789abcdef")

    file_id: str | None = Field(
        None, description="Of a file uploaded before; or send a form with the part `file`."
    )


def _resource(session: Session, row: ContainerFile, entry: Entry) -> File:
    return File(
        id=format_id(CONTAINER_FILE, row.id),
        container_id=format_id(CONTAINER, session.id),
        created_at=int(entry.modified_at),
        bytes=entry.size,
        path=f"{ROOT}/{_text(entry.path)}",
        source="user" if row.source == ContainerFile.Source.USER else "assistant",
    )


def _text(path: str) -> str:
    """The path itself; escaped where it is no text, which JSON cannot hold."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return display_name(path)
    return path


async def connect(call: Call[Any, Any], container_id: str) -> tuple[Session, Sandbox]:
    """The session, and a channel to its container, which is started where there is none."""
    session = await find_container(call, container_id)
    sandbox = await runtime().sandboxes.connect(session)
    await services.session_touch(session=session)
    return session, sandbox


@operation(
    summary="Put a file into a container",
    body=AddFile,
    returns=File,
    unmodelled=Unmodelled(
        files=FormFiles(("file",), "The file, in place of a `file_id`.", is_only_way=False)
    ),
)
async def file_create(call: Call[AddFile, NoQuery], container_id: str) -> File:
    """A file of that name that is there already keeps it; the new one gets another."""
    await find_container(call, container_id)  # whatever else is wrong, strangers get 404
    if call.body.file_id is not None:
        stored = await find_file(call, call.body.file_id, param="file_id")
        session, sandbox = await connect(call, container_id)
        row, entry = await put_stored_file(session, sandbox, stored)
    else:
        sent = sent_file(call.http)
        session, sandbox = await connect(call, container_id)
        row, entry = await put_file(session, sandbox, sent.name or "", lambda: _pieces(sent))
    return _resource(session, row, entry)


async def _pieces(sent: UploadedFile) -> AsyncIterator[bytes]:
    await asyncio.to_thread(sent.seek, 0)
    while piece := await asyncio.to_thread(sent.read, PIECE_BYTES):
        yield piece


@operation(summary="List the files of a container", query=PageQuery, returns=FileList)
async def file_list(call: Call[NoBody, PageQuery], container_id: str) -> FileList:
    """Those of all folders, by the time they were last written."""
    session, sandbox = await connect(call, container_id)
    found = [entry async for entry in walk_files(sandbox)]
    found.sort(key=lambda entry: (entry.modified_at, entry.path))
    if call.query.order == "desc":
        found.reverse()
    begin = 0
    if call.query.after is not None:
        begin = _index_behind(session, found, call.query.after)
    page = found[begin : begin + call.query.limit]
    paths = [format_path(entry.path) for entry in page]
    rows = await services.container_files_seen(session=session, paths=paths)
    data = [_resource(session, rows[path], entry) for path, entry in zip(paths, page, strict=True)]
    return FileList.of(data, has_more=begin + len(page) < len(found))


def _index_behind(session: Session, found: list[Entry], after: str) -> int:
    seen = parse_id(CONTAINER_FILE, after)
    for index, entry in enumerate(found):
        if services.container_file_id(session.id, format_path(entry.path)) == seen:
            return index + 1
    raise unknown_after(after)


async def _find(
    call: Call[NoBody, NoQuery], container_id: str, file_id: str
) -> tuple[Session, Sandbox, ContainerFile, Entry]:
    """Raises: ApiError."""
    session = await find_container(call, container_id)
    key = parse_id(CONTAINER_FILE, file_id)
    row = await ContainerFile.objects.filter(session=session, id=key).afirst() if key else None
    missing = not_found(f"File with id '{file_id}' not found in container '{container_id}'.")
    if row is None:
        raise missing
    session, sandbox = await connect(call, container_id)
    try:
        entry = await stat_file(sandbox, parse_path(row.path))
    except (EntryNotFoundError, WrongEntryKindError):
        raise missing from None
    return session, sandbox, row, entry


@operation(summary="One file of a container", returns=File)
async def file_get(call: Call[NoBody, NoQuery], container_id: str, file_id: str) -> File:
    session, _, row, entry = await _find(call, container_id, file_id)
    return _resource(session, row, entry)


@operation(summary="The bytes of a file")
async def file_content(
    call: Call[NoBody, NoQuery], container_id: str, file_id: str
) -> HttpResponseBase:
    _, sandbox, _, entry = await _find(call, container_id, file_id)
    pieces = read_exactly(sandbox, entry.path, offset=0, length=entry.size)
    return span_response(
        call.http,
        await begun(pieces),
        span=Span(0, entry.size, entry.size, is_partial=False),
        etag=etag_of(entry),
        content_type="application/octet-stream",
        disposition=content_disposition("attachment", name_of(entry.path)),
    )


@operation(summary="Delete a file of a container", returns=Deleted)
async def file_delete(call: Call[NoBody, NoQuery], container_id: str, file_id: str) -> Deleted:
    _, sandbox, row, entry = await _find(call, container_id, file_id)
    await sandbox.remove(entry.path)
    await services.container_file_removed(row=row)
    return Deleted(id=file_id, object="container.file.deleted")
