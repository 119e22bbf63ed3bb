"""One file of the workspace: reading exactly what was promised, and letting go of it."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from sessions.errors import ConflictError, WrongEntryKindError
from sessions.sandbox.base import Entry, Sandbox


async def stat_file(sandbox: Sandbox, path: str) -> Entry:
    """The regular file at `path`, through symlinks that stay inside.

    Raises: WrongEntryKindError when it is none, and what `Sandbox.stat` raises.
    """
    entry = await sandbox.stat(path)
    if entry.kind != "file":
        what = "a folder" if entry.kind == "folder" else "neither a file nor a folder"
        raise WrongEntryKindError(f"This is {what}.", param="path")
    return entry


async def read_exactly(
    sandbox: Sandbox, path: str, *, offset: int, length: int
) -> AsyncGenerator[bytes, None]:
    """`length` bytes from `offset` on.

    Raises: ConflictError when the file ends earlier, because less than was promised must not
    look like all of it.
    """
    left = length
    async with aclosing(_pieces(sandbox, path, offset, length)) as pieces:
        async for piece in pieces:
            left -= len(piece)
            if left < 0:
                raise ConflictError("The sandbox sent more than was asked for.")
            yield piece
    if left:
        raise ConflictError("The file became shorter while it was read.")


async def read_head(sandbox: Sandbox, path: str, *, offset: int = 0, length: int) -> bytes:
    """Up to `length` bytes from `offset` on, in memory."""
    head = bytearray()
    async with aclosing(_pieces(sandbox, path, offset, length)) as pieces:
        async for piece in pieces:
            head += piece
            if len(head) >= length:
                break
    return bytes(head[:length])


def _pieces(sandbox: Sandbox, path: str, offset: int, length: int) -> AsyncGenerator[bytes, None]:
    return closed_with_reader(sandbox.read_file(path, offset=offset, length=length))


async def begun(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same pieces once the first is there: what fails at once fails before headers are sent."""
    first = await anext(pieces, b"")
    return _continued(first, pieces)


async def _continued(
    first: bytes, pieces: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        if first:
            yield first
        async for piece in pieces:
            yield piece


async def closed_with_reader(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same pieces; whoever closes this ends the work in the container too."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
