"""The file verbs of a sandbox: requests to the guest, and what it answers checked."""

import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, get_args

from sessions.errors import FileAccessError
from sessions.sandbox.base import ArchiveFormat, Entry, EntryKind, FolderWatch
from sessions.sandbox.connection import Connection, is_figure
from sessions.sandbox.folder_watch import GuestFolderWatch
from sessions.sandbox.guest import wire
from sessions.sandbox.requests import Request

MAX_LISTING_BYTES = 256 * 1024 * 1024
"""A folder that takes more to describe is a lie of the guest."""
_MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_ENTRIES = 100_000
"""Of one listing: each takes about 400 bytes here, and no page shows so many."""
_KINDS = frozenset(get_args(EntryKind))
_FIELDS = 5


class SandboxFiles:
    """The part of `Sandbox` that is about files."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list_dir(self, path: str) -> list[Entry]:
        folder = tidy(path)
        entries: list[Entry] = []
        async with Request(self._connection, "list", path=path) as request:
            async with aclosing(_lines(request.data())) as lines:
                async for line in lines:
                    entries += [_listed(folder, fields) for fields in _json_list(line)]
                    if len(entries) > MAX_ENTRIES:
                        raise FileAccessError(
                            f"The folder has more than {MAX_ENTRIES:,} entries. "
                            "Look at it with a command."
                        )
            await request.result()
        entries.sort(key=lambda entry: entry.name)
        return entries

    async def stat(self, path: str) -> Entry:
        return await self._ask(path, "stat", path=path)

    async def read_file(
        self, path: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        request = Request(self._connection, "read", path=path, offset=offset, length=length)
        async with request, aclosing(request.data()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def write_file(
        self, path: str, data: bytes | AsyncIterable[bytes], *, overwrite: bool = True
    ) -> Entry:
        request = Request(self._connection, "write", path=path, overwrite=overwrite)
        async with request:
            if isinstance(data, bytes):
                await request.write(data)
                await request.end_input()
            else:
                await request.write_all(data)
            return _entry(tidy(path), (await request.result()).get("entry"))

    async def make_dir(self, path: str) -> Entry:
        return await self._ask(path, "make_dir", path=path)

    async def rename(self, source: str, target: str) -> Entry:
        return await self._ask(target, "rename", path=source, target=target)

    async def remove(self, path: str) -> None:
        async with Request(self._connection, "remove", path=path) as request:
            await request.result()

    async def archive(self, path: str, *, format: ArchiveFormat) -> AsyncIterator[bytes]:
        """Names start with the folder's own name, but for the workspace itself."""
        request = Request(self._connection, "archive", path=path, format=format)
        async with request, aclosing(request.data()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def archive_all(self) -> AsyncIterator[bytes]:
        """Raises, behind the last piece: FileAccessError when bytes of a file were left out."""
        request = Request(self._connection, "archive", path="", format="tar", whole=True)
        async with request:
            async with aclosing(request.data()) as chunks:
                async for chunk in chunks:
                    yield chunk
            result = await request.result()
            skipped, special = result.get("skipped"), result.get("special")
            if not _is_count(skipped) or not _is_count(special):
                raise wire.WireError("an archive without its counts")
            if skipped != special:
                raise FileAccessError("Not all of the workspace could be read.")

    async def unpack(self, data: AsyncIterable[bytes]) -> None:
        async with Request(self._connection, "unpack") as request:
            await request.write_all(data)
            await request.result()

    async def add_skills(self, data: AsyncIterable[bytes]) -> None:
        async with Request(self._connection, "add_skills") as request:
            await request.write_all(data)
            await request.result()

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[FolderWatch]:
        async with Request(self._connection, "watch", may_be_quiet=True) as request:
            yield GuestFolderWatch(request)

    async def _ask(self, entry_path: str, verb: str, **arguments: Any) -> Entry:
        async with Request(self._connection, verb, **arguments) as request:
            return _entry(tidy(entry_path), (await request.result()).get("entry"))


def tidy(path: str) -> str:
    """Without empty and `.` components, as the guest reads it."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Raises: wire.WireError for lines or listings without an end."""
    rest = bytearray()
    total = 0
    async for chunk in chunks:
        total += len(chunk)
        # Only what is new is looked through: a line may come in a million crumbs.
        first, *others = chunk.split(b"\n")
        rest += first
        if total > MAX_LISTING_BYTES or len(rest) > _MAX_LINE_BYTES:
            raise wire.WireError("a listing without an end")
        for following in others:
            yield bytes(rest)
            rest = bytearray(following)
    if rest:
        raise wire.WireError("half a listing")


def _json_list(line: bytes) -> list[Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise wire.WireError("a listing that is not JSON") from None
    if not isinstance(value, list):
        raise wire.WireError("a listing that is none")
    return value


def _listed(folder: str, fields: Any) -> Entry:
    if not isinstance(fields, list) or len(fields) != _FIELDS + 1:
        raise wire.WireError("an entry that is none")
    name = fields[0]
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\0" in name:
        raise wire.WireError("a name that no file can have")
    return _entry(f"{folder}/{name}" if folder else name, fields[1:])


def _entry(path: str, fields: Any) -> Entry:
    """Raises: wire.WireError."""
    if not isinstance(fields, list) or len(fields) != _FIELDS:
        raise wire.WireError("an entry that is none")
    kind, size, modified_at, mode, target = fields
    if not isinstance(kind, str) or kind not in _KINDS:
        raise wire.WireError("an entry of an unknown kind")
    if not _is_count(size) or not _is_count(mode):
        raise wire.WireError("an entry with a bad number")
    if not is_figure(modified_at):
        raise wire.WireError("an entry with a bad time")
    if target is not None and not isinstance(target, str):
        raise wire.WireError("an entry with a bad target")
    return Entry(
        name=path.rpartition("/")[2],
        path=path,
        kind=kind,  # type: ignore[arg-type]  # one of _KINDS
        size=size,
        modified_at=float(modified_at),
        mode=mode,
        symlink_target=target,
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= wire.MAX_OFFSET
