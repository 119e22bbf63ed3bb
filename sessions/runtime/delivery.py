"""Copy the files of a session's messages from the host into its workspace."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from channels.db import database_sync_to_async
from django.db import transaction
from django.utils import timezone

from sessions.errors import EntryNotFoundError, FileAccessError
from sessions.events import bus, log
from sessions.events.types import Notice
from sessions.models import Upload
from sessions.sandbox.base import Sandbox
from sessions.sandbox.limits import MIB

PIECE_BYTES = 1 * MIB


class _KeptFileError(Exception):
    """The file on the host cannot be read, or not in full."""


async def deliver(sandbox: Sandbox, session_id: uuid.UUID, upload: Upload) -> None:
    """Save the file in the workspace and forget it on the host.

    A file that cannot be saved, now or ever, is told of in the log and given up: the next turn
    would fail on it as this one did. Raises: SandboxUnavailableError, which leaves it waiting.
    """
    raw_name = unquote_to_bytes(upload.name)
    stored = Path(upload.stored_path)
    notice = None
    try:
        is_there = await _is_there(sandbox, os.fsdecode(raw_name))
        async with aclosing(_pieces(stored, upload.size)) as pieces:
            await sandbox.write_file(os.fsdecode(raw_name), pieces)
        if is_there:
            name = raw_name.decode("utf-8", "replace")
            notice = Notice(
                "warning", f"The uploaded file “{name}” replaced the one in the workspace."
            )
    except FileAccessError as error:
        text = f"An uploaded file could not be saved: {error.message}"
        notice = Notice("error", text, error.code)
    except _KeptFileError:
        name = raw_name.decode("utf-8", "replace")
        text = f"The uploaded file “{name}” is no longer on the server. Send it again."
        notice = Notice("error", text, "upload_lost")
    await _settle(session_id, upload, notice)
    await bus.notify(bus.session_topic(session_id))
    await asyncio.to_thread(stored.unlink, missing_ok=True)


async def _is_there(sandbox: Sandbox, path: str) -> bool:
    try:
        await sandbox.stat(path)
    except EntryNotFoundError:
        return False
    return True


async def _pieces(stored: Path, size: int) -> AsyncGenerator[bytes]:
    """Raises: _KeptFileError, before the last piece: what is cut short never appears as whole."""
    left = size
    with await _open(stored) as source:
        while left > 0:
            piece = await _read(source, min(left, PIECE_BYTES))
            left -= len(piece)
            yield piece


async def _open(stored: Path) -> BinaryIO:
    try:
        return await asyncio.to_thread(stored.open, "rb")
    except OSError as error:
        raise _KeptFileError from error


async def _read(source: BinaryIO, length: int) -> bytes:
    try:
        piece = await asyncio.to_thread(source.read, length)
    except OSError as error:
        raise _KeptFileError from error
    if not piece:
        raise _KeptFileError
    return piece


@database_sync_to_async
def _settle(session_id: uuid.UUID, upload: Upload, notice: Notice | None) -> None:
    with transaction.atomic():
        if notice is not None:
            log.append_now(session_id, [notice])
        Upload.objects.filter(id=upload.id).update(delivered_at=timezone.now())
