"""Files that come with a message: they wait on the host until a runner brings them in."""

import asyncio
import contextlib
import errno
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import transaction

from sessions.errors import DiskFullError, FileTooLargeError, InvalidInputError
from sessions.models import Turn
from sessions.sandbox.limits import MIB
from sessions.services.carried import carried

T = TypeVar("T")

MAX_UPLOAD_BYTES = 512 * MIB
"""Of all files that come with one message; larger ones go through the Files tab."""


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A file as it was sent. `name` is its bare name; `size` in bytes."""

    name: str
    chunks: Iterable[bytes]
    size: int


def upload_check_size(size: int, *, param: str) -> None:
    """Raises: FileTooLargeError for more than one file may have."""
    if size > settings.BERTH_MAX_UPLOAD_MB * MIB:
        message = f"Files over {settings.BERTH_MAX_UPLOAD_MB} MiB are not taken."
        raise FileTooLargeError(message, param=param)


def upload_name(name: str) -> str:
    """The bare file name, percent-encoded. Raises: InvalidInputError."""
    bare = name.replace("\\", "/").rsplit("/", 1)[-1]
    if bare in {"", ".", ".."} or "\0" in bare or len(os.fsencode(bare)) > 255:
        raise InvalidInputError("One of the files has a name that cannot be used.", param="files")
    return quote(os.fsencode(bare), safe="")


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file on the host that no row of the database names yet."""

    name: str
    path: Path
    size: int


def _files_keep(session_id: uuid.UUID, files: Sequence[NewUpload]) -> list[KeptFile]:
    """Write the files to the host, where they wait for a runner: all of them or none.

    Raises: InvalidInputError, DiskFullError.
    """
    if sum(file.size for file in files) > MAX_UPLOAD_BYTES:
        raise InvalidInputError(
            f"The files are larger than {MAX_UPLOAD_BYTES // MIB} MiB together.", param="files"
        )
    names = [upload_name(file.name) for file in files]
    if len(set(names)) < len(names):
        raise InvalidInputError("Two of the files have the same name.", param="files")
    paths = [upload_folder(session_id) / uuid.uuid4().hex for _ in files]
    try:
        sizes = [_write(path, file.chunks) for path, file in zip(paths, files, strict=True)]
    except BaseException as error:
        _files_remove(paths)
        if not isinstance(error, OSError):
            raise
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        reason = "The server's disk is full" if is_full else f"The server's disk: {error.strerror}"
        raise DiskFullError(f"{reason}. The files were not sent.", param="files") from error
    return [KeptFile(*kept) for kept in zip(names, paths, sizes, strict=True)]


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as out:
        return sum(out.write(chunk) for chunk in chunks)


def _files_remove(paths: Sequence[Path]) -> None:
    """Remove the files, and the session's folder when they were all there was in it."""
    with contextlib.suppress(OSError):
        for path in paths:
            path.unlink(missing_ok=True)
        for path in paths[:1]:
            path.parent.rmdir()


async def with_files(
    session_id: uuid.UUID, files: Sequence[NewUpload], write: Callable[[list[KeptFile]], T]
) -> T:
    """What `write` returns, which stores rows that name the files; they go when it fails.

    The files are on the disk before it begins, for a transaction keeps all other writers waiting.
    Once begun it is carried to its end: a browser that goes away must not part files and rows.
    """

    async def store() -> T:
        kept = await asyncio.to_thread(_files_keep, session_id, files) if files else []
        try:
            return await database_sync_to_async(write)(kept)
        except BaseException:
            await asyncio.to_thread(_files_remove, [file.path for file in kept])
            raise

    return await carried(store())


def upload_folder(session_id: uuid.UUID) -> Path:
    return Path(settings.VAR_DIR) / "uploads" / str(session_id)


def uploads_forget(turn: Turn) -> None:
    """Within a transaction; the files go when it is committed."""
    paths = [Path(upload.stored_path) for upload in turn.uploads.all()]
    turn.uploads.all().delete()
    transaction.on_commit(lambda: _files_remove(paths))
