"""Putting files into the workspace of a container."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator

from sessions import services
from sessions.downloads.stored import PIECE_BYTES, stored_pieces
from sessions.errors import EntryExistsError
from sessions.models import ContainerFile, Session, StoredFile
from sessions.sandbox.base import Entry, Sandbox
from sessions.workspace.paths import format_path, parse_path


async def put_file(
    session: Session, sandbox: Sandbox, name: str, pieces: Callable[[], AsyncIterator[bytes]]
) -> tuple[ContainerFile, Entry]:
    """A file that has the name already keeps it; the new one then gets another.

    Raises: InvalidInputError for a name no file can have; SandboxError.
    """
    path = parse_path(services.upload_name(name))
    try:
        entry = await sandbox.write_file(path, pieces(), overwrite=False)
    except EntryExistsError:
        other = f"{uuid.uuid4().hex[:8]}-{path}"
        entry = await sandbox.write_file(other, pieces(), overwrite=False)
    row = await services.container_file_uploaded(session=session, path=format_path(entry.path))
    return row, entry


async def put_stored_file(
    session: Session, sandbox: Sandbox, file: StoredFile
) -> tuple[ContainerFile, Entry]:
    """Raises: as `put_file`; OSError."""
    path = services.stored_file_path(file.id)
    return await put_file(session, sandbox, file.filename, lambda: stored_pieces(path))


def stored_file_chunks(file_id: uuid.UUID) -> Iterator[bytes]:
    """The same, for a thread. Raises: OSError."""
    with services.stored_file_path(file_id).open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
