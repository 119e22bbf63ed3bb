"""Every read a front door can ask for. Each takes the user and returns only what they may see."""

import datetime as dt
import uuid
from dataclasses import dataclass

from channels.db import database_sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet

from sessions.errors import NotFoundError
from sessions.models import ApiKey, Session, Shell, Turn, TurnStatus


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as a list shows it."""

    id: uuid.UUID
    title: str
    status: str
    provider: str
    model: str
    image: str
    last_line: str
    created_at: dt.datetime
    updated_at: dt.datetime
    input_tokens: int
    output_tokens: int
    container_state: str
    owner_name: str
    is_tour: bool


def _visible(user: User | AnonymousUser) -> QuerySet[Session]:
    rows = Session.objects.filter(deletion_requested_at=None)
    if not user.is_active:
        return rows.none()
    return rows if user.is_staff else rows.filter(owner=user)


async def session_list(*, user: User, search: str = "", limit: int = 100) -> list[SessionRow]:
    """Newest activity first. `search` looks in titles, messages and last lines."""

    @database_sync_to_async
    def read() -> list[SessionRow]:
        rows = _visible(user).select_related("owner").order_by("-updated_at")
        words = search.replace("\0", "").strip()
        if words:
            rows = rows.filter(
                Q(title__icontains=words)
                | Q(last_line__icontains=words)
                | Q(id__in=Turn.objects.filter(text__icontains=words).values("session"))
            )
        return [
            SessionRow(
                id=row.id,
                title=row.title,
                status=row.status,
                provider=row.provider,
                model=row.model,
                image=row.image,
                last_line=row.last_line,
                created_at=row.created_at,
                updated_at=row.updated_at,
                input_tokens=row.input_tokens,
                output_tokens=row.output_tokens,
                container_state=row.container_state,
                owner_name=row.owner.get_username(),
                is_tour=row.is_tour,
            )
            for row in rows[:limit]
        ]

    return await read()


async def session_get(*, user: User | AnonymousUser, session_id: uuid.UUID) -> Session:
    """Raises: NotFoundError when there is none or it is another user's."""
    session = await _visible(user).select_related("owner").filter(id=session_id).afirst()
    if session is None:
        raise NotFoundError("There is no such session.")
    return session


async def shell_list(*, user: User | AnonymousUser, session_id: uuid.UUID) -> list[Shell]:
    """All shells ever opened in the session, the first first. Raises: as `session_get`."""
    session = await session_get(user=user, session_id=session_id)
    return [shell async for shell in Shell.objects.filter(session=session).order_by("number")]


async def shell_get(*, user: User | AnonymousUser, session_id: uuid.UUID, shell_id: str) -> Shell:
    """Raises: NotFoundError when there is none or its session is another user's."""
    session = await session_get(user=user, session_id=session_id)
    shell = await Shell.objects.filter(session=session, shell_id=shell_id).afirst()
    if shell is None:
        raise NotFoundError("There is no such shell in this session.")
    shell.session = session
    return shell


async def queued_turns(*, session: Session) -> list[Turn]:
    turns = Turn.objects.filter(session=session, status=TurnStatus.QUEUED).order_by("number")
    return [turn async for turn in turns]


async def api_key_list(*, user: User) -> list[ApiKey]:
    return [key async for key in ApiKey.objects.filter(user=user).order_by("-created_at")]
