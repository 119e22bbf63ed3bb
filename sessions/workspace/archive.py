"""A folder as one streamed zip or tar."""

from collections.abc import AsyncGenerator

from sessions.errors import WrongEntryKindError
from sessions.sandbox.base import ArchiveFormat, Sandbox
from sessions.workspace.files import begun, closed_with_reader
from sessions.workspace.paths import name_of


async def open_archive(
    sandbox: Sandbox, path: str, *, format: ArchiveFormat, root_name: str
) -> tuple[str, AsyncGenerator[bytes, None]]:
    """The archive's file name and its bytes; `root_name` names an archive of everything.

    Raises: WrongEntryKindError when it is no folder, and what `Sandbox.stat` raises.
    Errors in mid-stream come from the iterator.
    """
    entry = await sandbox.stat(path)
    if entry.kind != "folder":
        raise WrongEntryKindError("Only a folder can be downloaded as an archive.", param="path")
    name = f"{name_of(path) or root_name}.{format}"
    pieces = closed_with_reader(sandbox.archive(path, format=format))
    return name, await begun(pieces)
