"""Carry an upload whose pieces are all there into the workspace, where it appears at once."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import BinaryIO

from django.utils import timezone

from sessions import services
from sessions.errors import ChecksumError, NotFoundError, UploadOffsetError
from sessions.models import FileUpload
from sessions.sandbox.base import Entry, Sandbox
from sessions.sandbox.limits import MIB
from sessions.services.carried import carried
from sessions.services.file_uploads import held_part, part_path
from sessions.workspace.paths import parse_path

_PIECE_BYTES = 1 * MIB


async def finish_upload(sandbox: Sandbox, upload: FileUpload, *, overwrite: bool) -> Entry:
    """The file's entry. Asked again after it was finished: the entry as it is now.

    Raises: UploadOffsetError when pieces are missing, ChecksumError, which ends the upload,
    UploadBusyError, and what `Sandbox.write_file` raises, after which it can be asked again.
    """
    path = parse_path(upload.path)
    if upload.finished_at is not None:
        return await sandbox.stat(path)
    return await carried(_finish(sandbox, upload, path, overwrite=overwrite))


async def _finish(sandbox: Sandbox, upload: FileUpload, path: str, *, overwrite: bool) -> Entry:
    async with held_part(upload) as part:
        if upload.offset != upload.size:
            raise UploadOffsetError(upload.offset)
        try:
            entry = await sandbox.write_file(path, _pieces(part, upload), overwrite=overwrite)
        except ChecksumError:
            await services.file_upload_discard(upload=upload)
            raise
        now = timezone.now()
        await FileUpload.objects.filter(id=upload.id).aupdate(finished_at=now, touched_at=now)
        await asyncio.to_thread(part_path(upload).unlink, missing_ok=True)
        return entry


async def _pieces(part: BinaryIO, upload: FileUpload) -> AsyncIterator[bytes]:
    """The announced bytes. What raises here leaves nothing in the workspace."""
    digest = hashlib.sha256()
    left = upload.size
    await asyncio.to_thread(part.seek, 0)
    while left:
        piece = await asyncio.to_thread(_read, part, min(left, _PIECE_BYTES), digest)
        if not piece:
            raise NotFoundError("The server no longer has all of this upload. Begin it anew.")
        left -= len(piece)
        yield piece
    if upload.sha256 and digest.hexdigest() != upload.sha256:
        raise ChecksumError("What arrived is not what was announced. Send it again.")


def _read(part: BinaryIO, size: int, digest: "hashlib._Hash") -> bytes:
    piece = part.read(size)
    digest.update(piece)
    return piece
