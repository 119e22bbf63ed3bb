"""Workspaces as `tar.zst` files on the server's disk, once their session has rested long enough."""

import asyncio
import contextlib
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import zstandard

from sessions.errors import DiskFullError, FileAccessError, InvalidInputError, SandboxError
from sessions.sandbox.base import Sandbox

SUFFIX = ".tar.zst"
PART_SUFFIX = ".tar.part"
LEVEL = 9
PIECE_BYTES = 1024 * 1024


class Archives:
    """One file a session below `folder`, which is made when needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, session_id: uuid.UUID) -> Path:
        return self._folder / f"{session_id}{SUFFIX}"

    async def write(self, session_id: uuid.UUID, sandbox: Sandbox) -> int:
        """All of the workspace, on the disk for good and read back; returns its size in bytes.

        Raises: SandboxError, DiskFullError, FileAccessError when something could not be read.
        """
        path = self.path(session_id)
        part = path.with_name(f"{session_id}{PART_SUFFIX}")
        try:
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
            file = await asyncio.to_thread(part.open, "wb")
            try:
                written = await self._compress(sandbox, file)
            finally:
                await asyncio.to_thread(file.close)
            if await asyncio.to_thread(_digest, part) != written:
                raise FileAccessError("The archive could not be read back.")
            await asyncio.to_thread(_settle, part, path)
            return path.stat().st_size
        except SandboxError:
            raise
        except OSError as error:
            raise DiskFullError(f"The archive cannot be written: {error.strerror}.") from error
        finally:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(part.unlink, missing_ok=True)

    async def _compress(self, sandbox: Sandbox, file: IO[bytes]) -> str:
        """The SHA-256 of what went in."""
        digest = hashlib.sha256()
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()

        def take(piece: bytes) -> None:
            digest.update(piece)
            file.write(compressor.compress(piece))

        async for piece in sandbox.archive_all():
            await asyncio.to_thread(take, piece)
        await asyncio.to_thread(lambda: file.write(compressor.flush()))
        await asyncio.to_thread(_sync, file)
        return digest.hexdigest()

    async def restore(self, session_id: uuid.UUID, sandbox: Sandbox, *, size: int) -> None:
        """`size` is what `write` returned: a file that was cut short would look whole to zstd.

        Raises: SandboxError, also when the archive is gone or broken.
        """
        try:
            found = (await asyncio.to_thread(self.path(session_id).stat)).st_size
            if found != size:
                raise SandboxError(f"The archive has {found:,} bytes instead of {size:,}.")
            await sandbox.unpack(self._pieces(session_id))
        except SandboxError:
            raise
        except (OSError, zstandard.ZstdError, InvalidInputError) as error:
            raise SandboxError(f"The archive cannot be read: {error}") from error

    async def _pieces(self, session_id: uuid.UUID) -> AsyncIterator[bytes]:
        file = await asyncio.to_thread(self.path(session_id).open, "rb")
        try:
            reader = zstandard.ZstdDecompressor().stream_reader(file)
            while piece := await asyncio.to_thread(reader.read, PIECE_BYTES):
                yield piece
        finally:
            await asyncio.to_thread(file.close)

    async def forget(self, session_id: uuid.UUID) -> None:
        """Nothing happens when there is none."""
        await asyncio.to_thread(self.path(session_id).unlink, missing_ok=True)

    async def files(self) -> list[Path]:
        """All there are, parts of unfinished ones as well. Names begin with the session's id."""

        def look() -> list[Path]:
            found = self._folder.iterdir() if self._folder.is_dir() else ()
            return [path for path in found if path.name.endswith((SUFFIX, PART_SUFFIX))]

        return await asyncio.to_thread(look)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file)
        while piece := reader.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _settle(part: Path, path: Path) -> None:
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # the name as well, before the volume goes
    finally:
        os.close(folder)
