"""Every read a front door can ask for. Each takes the user and returns only what they may see."""

import datetime as dt
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from sessions.errors import NotFoundError
from sessions.models import (
    ApiKey,
    ApiResponse,
    ChatCompletion,
    Conversation,
    FileUpload,
    Session,
    SessionSkill,
    Shell,
    Skill,
    SkillVersion,
    StoredFile,
    Turn,
    TurnStatus,
    VectorStore,
    VectorStoreFile,
)


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
    is_chat: bool
    is_bare: bool
    """No message began it, and none came since: a program made it for its container."""


def _visible(user: User | AnonymousUser) -> QuerySet[Session]:
    rows = Session.objects.filter(deletion_requested_at=None)
    if not user.is_active:
        return rows.none()
    return rows if user.is_staff else rows.filter(owner=user)


async def session_list(*, user: User, search: str = "", limit: int = 100) -> list[SessionRow]:
    """Newest activity first. `search` looks in titles, messages and last lines."""

    @database_sync_to_async
    def read() -> list[SessionRow]:
        has_turns = Exists(Turn.objects.filter(session=OuterRef("pk")))
        rows = _visible(user).select_related("owner").order_by("-updated_at")
        rows = rows.annotate(has_turns=has_turns)
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
                is_chat=row.is_chat,
                is_bare=not row.has_turns,
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


@database_sync_to_async
def session_rows(session_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Session]:
    """Whoever asks: for a look on behalf of several people, each of whom `may_see` them or not."""
    return Session.objects.select_related("owner").in_bulk(list(session_ids))


async def session_is_bare(*, session: Session) -> bool:
    """Whether no message began it, and none came since: a program made it for its container."""
    return not await Turn.objects.filter(session=session).aexists()


def may_see(user: User | AnonymousUser, session: Session) -> bool:
    """The rule of every selector here, of a row that was read already."""
    if not user.is_active or session.deletion_requested_at is not None:
        return False
    return user.is_staff or session.owner_id == user.pk


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


async def has_open_turns(*, session: Session) -> bool:
    """Whether a turn of it runs or waits."""
    unfinished = (TurnStatus.RUNNING, TurnStatus.QUEUED)
    return await Turn.objects.filter(session=session, status__in=unfinished).aexists()


def container_rows(*, owner: User, name: str | None = None) -> QuerySet[Session]:
    """The sessions of one person, for whom the API lists containers: of others not even staff's
    keys list any. With their skills."""
    rows = Session.objects.filter(owner=owner, deletion_requested_at=None, is_chat=False)
    rows = rows.prefetch_related("skills")
    return rows if name is None else rows.filter(title=name)


async def container_get(*, owner: User, session_id: uuid.UUID) -> Session:
    """Raises: NotFoundError when there is none or it is another user's, staff or not."""
    rows = container_rows(owner=owner).select_related("owner")
    found = await rows.filter(id=session_id).afirst()
    if found is None:
        raise NotFoundError("There is no such container.")
    return found


def stored_file_rows(*, owner: User) -> QuerySet[StoredFile]:
    """Those that have not expired. Files are their owner's alone, staff or not."""
    is_alive = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return StoredFile.objects.filter(is_alive, owner=owner)


async def stored_file_get(*, owner: User, file_id: uuid.UUID) -> StoredFile:
    """Raises: NotFoundError."""
    file = await stored_file_rows(owner=owner).filter(id=file_id).afirst()
    if file is None:
        raise NotFoundError("There is no such file.")
    return file


async def conversation_get(*, owner: User, conversation_id: uuid.UUID) -> Conversation:
    """Raises: NotFoundError when there is none or it is another user's, staff or not."""
    found = await Conversation.objects.filter(owner=owner, id=conversation_id).afirst()
    if found is None:
        raise NotFoundError("There is no such conversation.")
    return found


async def response_get(*, owner: User, response_id: uuid.UUID) -> ApiResponse:
    """Raises: NotFoundError when there is none, it was deleted, or is another user's, staff or
    not."""
    rows = ApiResponse.objects.filter(owner=owner, deleted_at=None)
    found = await rows.filter(id=response_id).afirst()
    if found is None:
        raise NotFoundError("There is no such response.")
    return found


def session_responses(*, session: Session) -> QuerySet[ApiResponse]:
    """What programs asked for in it, for whoever may see the session."""
    return ApiResponse.objects.filter(session=session, deleted_at=None)


async def session_response_get(*, session: Session, response_id: uuid.UUID) -> ApiResponse:
    """Raises: NotFoundError."""
    found = await session_responses(session=session).filter(id=response_id).afirst()
    if found is None:
        raise NotFoundError("There is no such request in this session.")
    return found


def chat_rows(*, owner: User) -> QuerySet[ChatCompletion]:
    """Those that their owner can ask for again; staff's keys see no others' either."""
    done = ChatCompletion.Status.COMPLETED
    return ChatCompletion.objects.filter(owner=owner, is_stored=True, status=done)


async def chat_get(*, owner: User, name: str) -> ChatCompletion:
    """The newest of that name. Raises: NotFoundError when there is none, it was not to be stored,
    or is another user's."""
    found = await chat_rows(owner=owner).filter(name=name).order_by("-created_at").afirst()
    if found is None:
        raise NotFoundError("There is no such chat completion.")
    return found


def session_chats(*, session: Session) -> QuerySet[ChatCompletion]:
    """The calls of programs in it, for whoever may see the session."""
    return ChatCompletion.objects.filter(session=session)


async def session_has_requests(*, session: Session) -> bool:
    """Whether programs asked for anything in it."""
    if session.is_chat:
        return await session_chats(session=session).aexists()
    return await session_responses(session=session).aexists()


async def session_chat_get(*, session: Session, chat_id: uuid.UUID) -> ChatCompletion:
    """Raises: NotFoundError."""
    found = await session_chats(session=session).filter(id=chat_id).afirst()
    if found is None:
        raise NotFoundError("There is no such request in this session.")
    return found


async def session_skills(*, session: Session) -> list[SessionSkill]:
    """Those that its container has, in the order in which they were asked for."""
    return [row async for row in SessionSkill.objects.filter(session=session).order_by("position")]


def skill_rows(*, owner: User) -> QuerySet[Skill]:
    """Skills are their owner's alone, staff or not."""
    return Skill.objects.filter(owner=owner)


async def skill_list(*, owner: User, limit: int) -> list[Skill]:
    """With their versions. Newest first."""
    rows = skill_rows(owner=owner).prefetch_related("versions").order_by("-created_at", "-id")
    return [skill async for skill in rows[:limit]]


async def skill_get(*, owner: User, skill_id: uuid.UUID) -> Skill:
    """Raises: NotFoundError when there is none or it is another user's, staff or not."""
    found = await skill_rows(owner=owner).filter(id=skill_id).afirst()
    if found is None:
        raise NotFoundError("There is no such skill.")
    return found


async def skill_version_get(*, skill: Skill, number: int | None = None) -> SkillVersion:
    """The one of that number; the newest without. Raises: NotFoundError."""
    rows = SkillVersion.objects.filter(skill=skill)
    chosen = rows if number is None else rows.filter(number=number)
    found = await chosen.order_by("-number").afirst()
    if found is None:
        raise NotFoundError("There is no such version.")
    return found


async def api_key_list(*, user: User) -> list[ApiKey]:
    return [key async for key in ApiKey.objects.filter(user=user).order_by("-created_at")]


def _millis(time: dt.datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)


def session_json(session: Session) -> dict[str, Any]:
    """What can change about a session without an event of its own; times in ms since 1970."""
    return {
        "id": str(session.id),
        "title": session.title,
        "status": session.status,
        "provider": session.provider,
        "model": session.model,
        "image": session.image,
        "container_state": session.container_state,
        "container": session.container_id,
        "limits": session.limits,
        "expires_after_s": session.expires_after_s,
        "suspends_at": _millis(session.suspends_at),
        "archived_at": _millis(session.archived_at),
        "archive_bytes": session.archive_bytes,
        "is_tour": session.is_tour,
        "is_chat": session.is_chat,
    }


async def file_upload_get(
    *, user: User | AnonymousUser, session_id: uuid.UUID, upload_id: uuid.UUID
) -> FileUpload:
    """Raises: NotFoundError."""
    session = await session_get(user=user, session_id=session_id)
    upload = await FileUpload.objects.filter(session=session, id=upload_id).afirst()
    if upload is None:
        raise NotFoundError("There is no such upload.")
    return upload


async def file_upload_list(
    *, user: User | AnonymousUser, session_id: uuid.UUID
) -> list[FileUpload]:
    """The unfinished ones, the last touched first. Raises: NotFoundError."""
    session = await session_get(user=user, session_id=session_id)
    rows = FileUpload.objects.filter(session=session, finished_at=None).order_by("-touched_at")
    return [upload async for upload in rows]


def vector_store_rows(*, owner: User) -> QuerySet[VectorStore]:
    """Stores are their owner's alone, staff or not."""
    return VectorStore.objects.filter(owner=owner, deleted_at=None)


async def vector_store_get(*, owner: User, store_id: uuid.UUID) -> VectorStore:
    """Raises: NotFoundError."""
    store = await vector_store_rows(owner=owner).filter(id=store_id).afirst()
    if store is None:
        raise NotFoundError("There is no such vector store.")
    return store


def vector_store_file_rows(*, stores: Collection[uuid.UUID]) -> QuerySet[VectorStoreFile]:
    """What is in the stores. A file that was deleted or has expired is in none."""
    is_alive = Q(file__expires_at=None) | Q(file__expires_at__gt=timezone.now())
    rows = VectorStoreFile.objects.filter(is_alive, store__in=stores, deleted_at=None)
    return rows.filter(file__isnull=False)
