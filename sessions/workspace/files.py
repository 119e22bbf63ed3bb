"""One file of the workspace: which one a path means, and reading exactly what was promised."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from sessions.errors import (
    ConflictError,
    EntryNotFoundError,
    OutsideWorkspaceError,
    WrongEntryKindError,
)
from sessions.sandbox.base import Entry, Sandbox
from sessions.workspace.paths import check_name, join_path, parent_of

WORKSPACE = "/workspace"
MAX_SYMLINKS = 20


async def resolve(sandbox: Sandbox, path: str) -> Entry:
    """The entry at `path`, with symlinks followed as far as they stay inside.

    Raises: OutsideWorkspaceError when a symlink leads out, EntryNotFoundError when it leads
    nowhere or in circles, and what `Sandbox.stat` raises.
    """
    for _ in range(MAX_SYMLINKS):
        entry = await sandbox.stat(path)
        if entry.kind != "symlink":
            return entry
        path = follow(entry.path, entry.symlink_target or "")
    raise EntryNotFoundError("The symlinks lead in circles.", param="path")


def follow(path: str, target: str) -> str:
    """Where a symlink at `path` leads. Raises: OutsideWorkspaceError."""
    if target == WORKSPACE or target.startswith(WORKSPACE + "/"):
        here, target = "", target[len(WORKSPACE) :]
    elif target.startswith("/"):
        raise OutsideWorkspaceError("The symlink leads out of the workspace.", param="path")
    else:
        here = parent_of(path)
    for name in target.split("/"):
        if name in {"", "."}:
            continue
        if name == "..":
            if not here:
                raise OutsideWorkspaceError(
                    "The symlink leads out of the workspace.", param="path"
                )
            here = parent_of(here)
        else:
            here = join_path(here, check_name(name))
    return here


async def resolve_file(sandbox: Sandbox, path: str) -> Entry:
    """As `resolve`. Raises: WrongEntryKindError when it is no regular file."""
    entry = await resolve(sandbox, path)
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


async def closed_with_reader(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same pieces; whoever closes this ends the work in the container too."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
