"""Names for the files of a workspace, by which programs ask for them."""

import uuid
from collections.abc import Collection

from channels.db import database_sync_to_async

from sessions.models import ContainerFile, Session


def container_file_id(session_id: uuid.UUID, path: str) -> uuid.UUID:
    """Of a percent-encoded path. The same whenever it is asked for."""
    return uuid.uuid5(session_id, path)


async def container_file_uploaded(*, session: Session, path: str) -> ContainerFile:
    """Note that a person, or their program, put a file there."""
    row, _ = await ContainerFile.objects.aupdate_or_create(
        id=container_file_id(session.id, path),
        defaults={"session": session, "path": path, "source": ContainerFile.Source.USER},
    )
    return row


@database_sync_to_async
def container_files_seen(*, session: Session, paths: Collection[str]) -> dict[str, ContainerFile]:
    """Rows for files that were found in the workspace, by path; those that nobody uploaded are
    the agent's."""
    ContainerFile.objects.bulk_create(
        (
            ContainerFile(
                id=container_file_id(session.id, path),
                session=session,
                path=path,
                source=ContainerFile.Source.ASSISTANT,
            )
            for path in paths
        ),
        ignore_conflicts=True,
    )
    ids = [container_file_id(session.id, path) for path in paths]
    return {row.path: row for row in ContainerFile.objects.filter(id__in=ids)}


async def container_file_removed(*, row: ContainerFile) -> None:
    await ContainerFile.objects.filter(id=row.id).adelete()
