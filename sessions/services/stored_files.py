"""Files that programs keep at Berth, to give them to containers and to models later."""

import asyncio
import contextlib
import datetime as dt
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from sessions.errors import DiskFullError
from sessions.models import SessionSkill, SkillVersion, StoredFile
from sessions.services.uploads import upload_check_size

PIECE_BYTES = 1024 * 1024
STRAY_S = 3600.0
"""A file on the disk that no row names, left by a crash, is removed after so long."""


def stored_file_path(file_id: uuid.UUID) -> Path:
    """Also of the bundle of a skill's version, and of a session's skill."""
    return _folder() / file_id.hex


def _folder() -> Path:
    return Path(settings.VAR_DIR) / "files"


async def stored_file_create(
    *,
    owner: User,
    filename: str,
    purpose: str,
    read: Callable[[int], bytes],
    expires_after_s: int | None = None,
) -> StoredFile:
    """Keep what `read` gives, a piece at a time, until it gives nothing.

    Raises: FileTooLargeError, DiskFullError.
    """
    file_id = uuid.uuid4()
    path = stored_file_path(file_id)
    try:
        size = await asyncio.to_thread(stored_file_write, path, read)
        now = timezone.now()
        lives = dt.timedelta(seconds=expires_after_s) if expires_after_s is not None else None
        return await StoredFile.objects.acreate(
            id=file_id,
            owner=owner,
            filename=filename,
            purpose=purpose,
            size=size,
            created_at=now,
            expires_at=now + lives if lives is not None else None,
        )
    except BaseException:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        raise


def stored_file_write(path: Path, read: Callable[[int], bytes]) -> int:
    """How much it was. Raises: FileTooLargeError, DiskFullError."""
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while piece := read(PIECE_BYTES):
                size += len(piece)
                upload_check_size(size, param="file")
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DiskFullError(f"The server's disk: {error.strerror}.") from error
    return size


async def stored_file_delete(*, file: StoredFile) -> None:
    """The row first: what is then left on the disk is removed by `stored_files_expire`."""
    await StoredFile.objects.filter(id=file.id).adelete()
    await asyncio.to_thread(stored_file_path(file.id).unlink, missing_ok=True)


async def stored_files_expire() -> None:
    """Remove what has expired, and what a crash left on the disk."""
    expired = StoredFile.objects.filter(expires_at__lte=timezone.now())
    async for file in expired:
        await stored_file_delete(file=file)
    await _remove_strays()


@database_sync_to_async
def _remove_strays() -> None:
    if not _folder().is_dir():
        return
    known = {
        number.hex
        for rows in (
            StoredFile.objects.all(),
            SkillVersion.objects.all(),
            SessionSkill.objects.all(),
        )
        for number in rows.values_list("id", flat=True)
    }
    oldest = time.time() - STRAY_S
    for path in _folder().iterdir():
        with contextlib.suppress(OSError):
            if path.name not in known and path.stat().st_mtime < oldest:
                path.unlink()
