"""Files that come in pieces: kept on the host, resumed after anything, expired when abandoned.

A piece is acknowledged when it is on the disk and the row says so. The part may hold more, from a
piece that was cut off; the next one overwrites it. See docs/decisions/0012-files-at-speed.md.
"""

import asyncio
import contextlib
import datetime as dt
import errno
import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.utils import timezone

from sessions.errors import (
    ConflictError,
    DiskFullError,
    InvalidInputError,
    NotFoundError,
    UploadBusyError,
    UploadOffsetError,
)
from sessions.models import FileUpload, Session
from sessions.sandbox.limits import MIB
from sessions.services.carried import carried
from sessions.services.uploads import upload_check_size, upload_folder

LIFE = dt.timedelta(hours=24)
"""An upload that nothing was done with for so long is removed."""
MAX_OPEN = 20
"""Unfinished uploads of one session."""
_PIECE_BYTES = 1 * MIB
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PARTS = "parts"


def part_path(upload: FileUpload) -> Path:
    return upload_folder(upload.session_id) / _PARTS / upload.id.hex


async def file_upload_create(
    *, session: Session, path: str, size: int, overwrite: bool, sha256: str = ""
) -> FileUpload:
    """An upload without a byte yet. `path` is percent-encoded, and checked.

    Raises: InvalidInputError, FileTooLargeError, DiskFullError, ConflictError for too many.
    """
    upload_check_size(size, param="size")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise InvalidInputError("`sha256` is 64 hexadecimal digits.", param="sha256")
    if await FileUpload.objects.filter(session=session, finished_at=None).acount() >= MAX_OPEN:
        message = f"{MAX_OPEN} uploads of this session are unfinished. Finish or delete some."
        raise ConflictError(message)
    upload = FileUpload(session=session, path=path, size=size, overwrite=overwrite, sha256=sha256)
    await asyncio.to_thread(_make_part, part_path(upload), size)
    await upload.asave(force_insert=True)
    return upload


def _make_part(part: Path, size: int) -> None:
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(part.parent).free
        if free < size:
            raise _disk_full(part, size)
        part.touch(exist_ok=False)
    except OSError as error:
        if isinstance(error, DiskFullError):
            raise
        raise DiskFullError(f"The server's disk: {error.strerror}.") from error


def _disk_full(part: Path, wanted: int) -> DiskFullError:
    free = shutil.disk_usage(part.parent).free
    return DiskFullError(
        f"The server's disk is full: {free // MIB} MiB are free, {-(-wanted // MIB)} MiB needed."
    )


@asynccontextmanager
async def held_part(upload: FileUpload) -> AsyncIterator[BinaryIO]:
    """The part, open, while nobody else has it; the row is read anew.

    Raises: UploadBusyError, NotFoundError.
    """
    try:
        part = await asyncio.to_thread(_hold, part_path(upload))
    except FileNotFoundError:
        raise NotFoundError("The server no longer has this upload. Begin it anew.") from None
    try:
        try:
            await upload.arefresh_from_db()
        except FileUpload.DoesNotExist:
            raise NotFoundError("There is no such upload.") from None
        yield part
    finally:
        await asyncio.to_thread(part.close)


def _hold(path: Path) -> BinaryIO:
    part = path.open("r+b", buffering=0)
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        part.close()
        raise UploadBusyError("Another request is at work on this upload.") from None
    return part


async def file_upload_append(
    *, upload: FileUpload, offset: int, read: Callable[[int], bytes]
) -> int:
    """Store what `read(size)` returns until it is empty; returns where the next piece begins.

    Raises: UploadOffsetError, UploadBusyError, NotFoundError, InvalidInputError for more than the
    announced size, DiskFullError. Nothing of the piece counts then.
    """
    return await carried(_append(upload, offset, read))


async def _append(upload: FileUpload, offset: int, read: Callable[[int], bytes]) -> int:
    if upload.finished_at is not None:
        raise UploadOffsetError(upload.size)
    async with held_part(upload) as part:
        if offset != upload.offset:
            raise UploadOffsetError(upload.offset)
        end = await asyncio.to_thread(_write, part, upload, read)
        await FileUpload.objects.filter(id=upload.id).aupdate(
            offset=end, touched_at=timezone.now()
        )
        return end


def _write(part: BinaryIO, upload: FileUpload, read: Callable[[int], bytes]) -> int:
    end = upload.offset
    try:
        part.truncate(end)
        part.seek(end)
        while piece := read(_PIECE_BYTES):
            if end + len(piece) > upload.size:
                raise InvalidInputError("The upload is longer than announced.", param="size")
            end += _write_all(part, piece)
        os.fdatasync(part.fileno())
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.truncate(upload.offset)
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _disk_full(part_path(upload), upload.size - upload.offset) from error
        raise
    return end


def _write_all(part: BinaryIO, piece: bytes) -> int:
    view = memoryview(piece)
    while view:
        view = view[part.write(view) :]
    return len(piece)


async def file_upload_discard(*, upload: FileUpload) -> None:
    """Give it up, or forget that it was finished. Nothing happens when it is gone already."""
    await FileUpload.objects.filter(id=upload.id).adelete()
    await asyncio.to_thread(part_path(upload).unlink, missing_ok=True)


async def file_uploads_expire() -> None:
    """Remove uploads that nothing was done with for `LIFE`, and parts that no row names."""
    async for upload in FileUpload.objects.filter(touched_at__lt=timezone.now() - LIFE):
        await file_upload_discard(upload=upload)
    strays = await asyncio.to_thread(_old_parts)
    known = {row.hex async for row in FileUpload.objects.values_list("id", flat=True)}
    for part in strays:
        if part.name not in known:
            await asyncio.to_thread(part.unlink, missing_ok=True)


def _old_parts() -> list[Path]:
    """Listed before the rows are read, so that a new one is never taken for a stray."""
    before = time.time() - LIFE.total_seconds()
    found = (Path(settings.VAR_DIR) / "uploads").glob(f"*/{_PARTS}/*")
    return [part for part in found if _is_older(part, before)]


def _is_older(part: Path, before: float) -> bool:
    try:
        return bool(uuid.UUID(part.name)) and part.stat().st_mtime < before
    except (ValueError, OSError):
        return False
