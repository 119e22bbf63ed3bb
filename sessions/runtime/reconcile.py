"""Set the engine and the database right with each other; one pass after any crash is enough.

Every container and volume is named in a row before it is made, so what no row names is nobody's.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from django.db.models import Q

from sessions.errors import EngineUnavailableError, NotFoundError, SandboxError
from sessions.models import ContainerState, PooledContainer, Reclaimed, Session, Turn, TurnStatus
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.base import ContainerInfo

logger = logging.getLogger(__name__)


async def reconcile(sandboxes: Sandboxes) -> None:
    """Raises: SandboxError. What is there is listed before who owns it, so that what is made
    meanwhile is never taken for a stray."""
    backend = sandboxes.backend
    containers, volumes = await backend.containers(), await backend.volumes()
    archives = await sandboxes.archives.files()
    owned_containers, owned_volumes, archived = await _owned(sandboxes)
    for container in containers:
        if not owned_containers & {container.container_id, container.engine_id}:
            with _going_on(container.container_id):
                await backend.remove(container.container_id)
                await _record("container", container.container_id, container.session_id)
    for name, session_id in volumes.items():
        if name not in owned_volumes:
            with _going_on(name):
                await backend.remove_volume(name)
                await _record("volume", name, session_id)
    for path in archives:
        with _going_on(path.name):
            await _look_at_archive(path, archived)
    await _mend_rows(sandboxes, containers)


@contextlib.contextmanager
def _going_on(name: str) -> Iterator[None]:
    """What cannot be removed, a volume that somebody mounted for one, keeps nothing else."""
    try:
        yield
    except EngineUnavailableError:
        raise
    except (SandboxError, OSError) as error:
        logger.warning("%s is not put right yet: %s", name, error)


async def _owned(sandboxes: Sandboxes) -> tuple[set[str], set[str], set[str]]:
    """Names of containers, of volumes, and ids of sessions that may have an archive."""
    containers: set[str] = set()
    volumes: set[str] = set()
    archived: set[str] = set()
    async for row in PooledContainer.objects.all():
        containers.add(row.name)
        volumes.add(row.workspace_volume)
    async for session in Session.objects.all():
        containers.add(session.container_id)
        volumes.add(session.workspace_volume)
        if session.archived_at or await sandboxes.is_in_hand(session):
            archived.add(str(session.id))
    return containers - {""}, volumes - {""}, archived


async def _look_at_archive(path: Path, archived: set[str]) -> None:
    session_id = path.name.partition(".")[0]
    if session_id not in archived:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        await _record("archive", path.name, session_id)


async def _mend_rows(sandboxes: Sandboxes, containers: list[ContainerInfo]) -> None:
    """Rows that name a container which a crash left unmade, half made or already removed.

    Turns that go on look after their own container.
    """
    running = {info.container_id for info in containers if info.is_running}
    running |= {info.engine_id for info in containers if info.is_running}
    busy = Turn.objects.filter(status=TurnStatus.RUNNING).values("session")
    rows = Session.objects.filter(~Q(container_id=""), deletion_requested_at=None)
    async for row in rows.exclude(id__in=busy):
        # Half made, or given up when the engine was too busy to remove it.
        is_whole = row.container_state == ContainerState.CONNECTED
        if row.container_id in running and is_whole:
            continue
        if await sandboxes.is_in_hand(row):
            continue
        with contextlib.suppress(NotFoundError), _going_on(f"session {row.id}"):
            await sandboxes.put_right(row)


async def _record(kind: str, name: str, session_id: str) -> None:
    reason = f"no session owns it (label {session_id or 'missing'})"[:200]
    await Reclaimed.objects.acreate(kind=kind, name=name[:200], reason=reason)
    logger.warning("removed the stray %s %s", kind, name)
