"""A container at rest: its files as one archive, and back; suspended now, started again now."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Literal, cast

import zstandard
from django.http import HttpRequest, HttpResponseBase
from pydantic import Field

from sessions import services
from sessions.api.containers import Container, container_resource
from sessions.api.endpoint import Call, operation
from sessions.api.errors import ApiError
from sessions.api.lookups import find_container
from sessions.api.schema import NoBody, NoQuery, RequestPart, Unmodelled
from sessions.api.views.container_files import connect
from sessions.downloads.responses import PiecesResponse, content_disposition, guard_content
from sessions.errors import ConflictError
from sessions.models import OpenExec, Session, Turn, TurnStatus
from sessions.responses.ids import CONTAINER, format_id
from sessions.runtime.reaper import STARTS_AGAIN
from sessions.runtime.wiring import runtime
from sessions.sandbox.base import ArchiveFormat
from sessions.sandbox.limits import MIB
from sessions.services.carried import carried
from sessions.workspace.archive import open_archive

PIECE_BYTES = 1 * MIB
ZSTD_LEVEL = 3
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAX_WINDOW_BYTES = 128 * MIB
"""Of memory that taking an archive apart may need."""

Format = Literal["tar.zst", "tar", "zip"]
_TYPES: dict[Format, str] = {
    "tar.zst": "application/zstd",
    "tar": "application/x-tar",
    "zip": "application/zip",
}


class ArchiveQuery(RequestPart):
    format: Format | None = Field(
        None, description="`tar.zst` unless the Accept header names another's type."
    )


@operation(
    summary="All files of a container as one archive",
    query=ArchiveQuery,
    unmodelled=Unmodelled(media_types=tuple(_TYPES.values())),
)
async def archive_get(call: Call[NoBody, ArchiveQuery], container_id: str) -> HttpResponseBase:
    """Streamed as it is made; its length is not known before its end."""
    session, sandbox = await connect(call, container_id)
    wanted = call.query.format or _accepted(call.http)
    kind: ArchiveFormat = "zip" if wanted == "zip" else "tar"
    _, pieces = await open_archive(sandbox, "", format=kind, root_name="workspace")
    if wanted == "tar.zst":
        pieces = _compressed(pieces)
    response = PiecesResponse(pieces, _TYPES[wanted])
    name = f"workspace-{str(session.id)[:8]}.{wanted}"
    response["Content-Disposition"] = content_disposition("attachment", name)
    guard_content(response)
    return response


def _accepted(request: HttpRequest) -> Format:
    asked = request.headers.get("Accept", "")
    return next((name for name, kind in _TYPES.items() if kind in asked), "tar.zst")


async def _compressed(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compressobj()
    async with aclosing(pieces):
        async for piece in pieces:
            if data := await asyncio.to_thread(compressor.compress, piece):
                yield data
    yield compressor.flush()


@operation(summary="Unpack an archive over the files of a container", returns=Container)
async def archive_put(call: Call[NoBody, NoQuery], container_id: str) -> Container:
    """The body is a tar or tar.zst. What is there under other names stays."""
    await find_container(call, container_id)  # whatever else is wrong, strangers get 404
    services.upload_check_size(int(call.http.META.get("CONTENT_LENGTH") or 0), param="body")
    session, sandbox = await connect(call, container_id)
    body = _Body(call.http)
    first = await asyncio.to_thread(body.peek)
    if not first:
        raise ApiError(400, "The body is empty; a tar or tar.zst is expected.", param="body")
    try:
        await sandbox.unpack(_pieces(body, is_compressed=first.startswith(ZSTD_MAGIC)))
    except zstandard.ZstdError as error:
        raise ApiError(400, "The body is no whole tar.zst.", param="body") from error
    return container_resource(session)


class _Body:
    """A file of what was sent, whose first bytes can be looked at. For threads."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._first = b""
        self._size = 0

    def peek(self) -> bytes:
        self._first = self._request.read(len(ZSTD_MAGIC))
        return self._first

    def read(self, size: int) -> bytes:
        """Raises: FileTooLargeError, for a length that was not told before."""
        piece, self._first = self._first or self._request.read(size), b""
        self._size += len(piece)
        services.upload_check_size(self._size, param="body")
        return piece


async def _pieces(body: _Body, *, is_compressed: bool) -> AsyncIterator[bytes]:
    """However much a piece unfolds to, it is held in parts. Raises: zstandard.ZstdError."""
    read = body.read
    if is_compressed:
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        read = decompressor.stream_reader(cast("Any", body)).read
    while piece := await asyncio.to_thread(read, PIECE_BYTES):
        yield piece


@operation(summary="Suspend a container now", returns=Container)
async def container_suspend(call: Call[NoBody, NoQuery], container_id: str) -> Container:
    """Its files stay; what still runs in the background ends. One at rest stays as it is."""
    session = await find_container(call, container_id)
    await _check_unused(session)
    if session.container_id:
        reason = f"Suspended, as a program asked for it. {STARTS_AGAIN}"
        await carried(runtime().sandboxes.suspend(session, reason))
    session = await find_container(call, format_id(CONTAINER, session.id))
    if session.container_id:
        raise ConflictError("The container is in use.")
    return container_resource(session)


async def _check_unused(session: Session) -> None:
    """Raises: ConflictError."""
    unfinished = (TurnStatus.QUEUED, TurnStatus.RUNNING)
    if await Turn.objects.filter(session=session, status__in=unfinished).aexists():
        raise ConflictError("A response is under way in the container. Cancel it first.")
    if await OpenExec.objects.filter(session=session).aexists():
        raise ConflictError("A command runs in the container. Stop it first.")


@operation(summary="Start a container now", returns=Container)
async def container_resume(call: Call[NoBody, NoQuery], container_id: str) -> Container:
    """Answers when it is there, on the same files; setting it up is left to its first command."""
    session, _ = await connect(call, container_id)
    return container_resource(await find_container(call, format_id(CONTAINER, session.id)))
