"""What a session's row says of its container, kept ahead of the engine.

The row names a container and its volume before the engine is asked for them, together with the
process that asks, so that whatever a crash leaves is either named by a row or nobody's.
"""

import uuid

from django.db.models import Q
from django.utils import timezone

from sessions.errors import NotFoundError
from sessions.events import bus, log
from sessions.events.types import ContainerState
from sessions.models import ContainerState as State
from sessions.models import Session, Turn, TurnStatus
from sessions.runtime.leases import is_holder_dead
from sessions.sandbox import names


class TakenError(Exception):
    """Another process changed the session's container meanwhile."""


async def row_of(session_id: uuid.UUID) -> Session:
    """Raises: NotFoundError, for a deleted session as well."""
    row = await Session.objects.filter(id=session_id, deletion_requested_at=None).afirst()
    if row is None:
        raise NotFoundError("There is no such session.")
    return row


async def begin(row: Session, *, volume: str, lease: str) -> None:
    """Name the next container, on that volume, as made by `lease`. Raises: TakenError when somebody
    else was first."""
    name, now = names.container_name(str(row.id)), timezone.now()
    free = Session.objects.filter(
        id=row.id,
        container_id=row.container_id,
        workspace_volume=row.workspace_volume,
        deletion_requested_at=None,
    )
    if not await free.aupdate(
        container_id=name,
        workspace_volume=volume,
        container_state=State.PENDING,
        container_holder=lease,
        container_started_at=now,
        last_active_at=now,
    ):
        raise TakenError
    row.container_id, row.workspace_volume = name, volume
    await set_state(row, State.PENDING)


async def set_state(row: Session, state: State, reason: str = "") -> None:
    row.container_state = state
    await Session.objects.filter(id=row.id).aupdate(container_state=state)
    await log.append(row.id, [ContainerState(state=state, reason=reason)])
    await bus.notify(bus.session_topic(row.id))


async def forget(
    row: Session, state: State, reason: str, *, only_if: Q | None = None, **fields: object
) -> bool:
    """The container is gone. `fields` change with it. False, with nothing changed, when the row
    names another one by now: what it says is then somebody else's."""
    named = Q(id=row.id, container_id=row.container_id)
    rows = Session.objects.filter(named if only_if is None else named & only_if)
    if not await rows.aupdate(
        container_id="", container_started_at=None, container_holder="", **fields
    ):
        return False
    await set_state(row, state, reason)
    return True


async def let_go(row: Session, *, seen: Session, reason: str) -> bool:
    """Suspend: the row names no container any more. False, with nothing changed, when something
    began since the row was `seen`: a turn that is claimed takes the lease first."""
    rests = Q(last_active_at=seen.last_active_at, lease_owner=row.lease_owner)
    works = Q(turns__status=TurnStatus.RUNNING)
    return await forget(row, State.SUSPENDED, reason, only_if=rests & ~works)


async def is_busy(row: Session, *, seen: Session) -> bool:
    """Whether a turn runs, or something began since the row was `seen`."""
    running = Turn.objects.filter(session=row, status=TurnStatus.RUNNING)
    return row.last_active_at != seen.last_active_at or await running.aexists()


async def is_being_made(row: Session, *, lease: str) -> bool:
    """Whether a living process other than `lease` makes, restores or archives it."""
    if row.container_state != State.PENDING or row.container_holder in ("", lease):
        return False
    return not await is_holder_dead(row.container_holder, since=row.container_started_at)
