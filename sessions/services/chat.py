"""Calls of `/v1/chat/completions`: each is a turn of a session that has no container.

Unlike other turns they are worked on by the process that was asked, which holds the session's
lease meanwhile: the program's connection is the call.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from sessions.events import bus, log
from sessions.events.types import (
    ProgramSent,
    SessionStatus,
    TurnEnded,
    TurnEndReason,
    TurnStarted,
)
from sessions.models import ApiKey, ChatCompletion, Session, Turn, TurnStatus
from sessions.models import SessionStatus as Status
from sessions.sandbox.limits import Limits
from sessions.services.chat_prefix import Message, digests, first_said, last_said, shown
from sessions.services.rate_limits import check_tokens_now, tokens_charge_now
from sessions.services.work import (
    MAX_TEXT_BYTES,
    check_room_now,
    session_create_now,
    title_from,
    turn_create_now,
    turn_set_status,
)

LEASE_S = 30.0
KEPT = dt.timedelta(days=30)
LONG_CHARACTERS = 100_000
"""A longer string of a call that is not stored is kept in part."""
STATUS_AFTER: dict[TurnEndReason, Status] = {"stopped": Status.STOPPED, "failed": Status.FAILED}


@dataclass(frozen=True, slots=True)
class NewChat:
    provider: str
    model: str
    request: Mapping[str, Any]
    messages: Sequence[Message]
    lease: str
    """Of the process that asks the model."""
    api_key: ApiKey | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    is_stored: bool = False


@dataclass(frozen=True, slots=True)
class ChatEnd:
    """What became of a call: an answer, an error as the API gives it, or, where the program went
    away, neither."""

    reason: TurnEndReason
    answer: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    message: str = ""
    hint: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


async def chat_begin(*, owner: User, new: NewChat) -> ChatCompletion:
    """A running turn, with `session` and `turn` loaded: of the session whose conversation goes on,
    else of a new one. Raises: TooManyRequestsError, ConflictError."""

    @database_sync_to_async
    def write() -> ChatCompletion:
        with transaction.atomic():
            check_tokens_now(owner_id=owner.pk, key=new.api_key)
            found = digests(new.messages)
            session, known = _going_on_now(owner, found) or (_new_session_now(owner, new), 0)
            return _begin_now(owner, session, new, known, found[-1])

    chat = await write()
    assert chat.session is not None
    await bus.notify_changed(chat.session.id, owner.pk, supervisor=False)
    return chat


def _going_on_now(owner: User, found: Sequence[str]) -> tuple[Session, int] | None:
    """The session whose last call has the longest part of this conversation, and how many messages
    that part has. One in which a call is under way is left to that."""
    rows = ChatCompletion.objects.filter(
        owner=owner, digest__in=found, session__deletion_requested_at=None
    )
    places = {digest: index + 1 for index, digest in enumerate(found)}
    calls = rows.filter(session__isnull=False).order_by("-created_at").defer("request", "answer")
    best: tuple[int, Session] | None = None
    for call in calls.select_related("session")[:50]:
        assert call.session is not None
        if best is None or places[call.digest] > best[0]:
            best = places[call.digest], call.session
    if best is None:
        return None
    known, session = best
    check_room_now(session)
    open_turns = Turn.objects.filter(
        session=session, status__in=(TurnStatus.RUNNING, TurnStatus.QUEUED)
    )
    return None if open_turns.exists() else (session, known)


def _new_session_now(owner: User, new: NewChat) -> Session:
    session = session_create_now(
        owner=owner,
        title=title_from(first_said(new.messages)),
        status=Status.RUNNING,
        provider=new.provider,
        model=new.model,
        image="",
        limits=Limits(),
        expires_after_s=0,
    )
    session.is_chat = True
    session.save(update_fields=["is_chat"])
    return session


def _begin_now(
    owner: User, session: Session, new: NewChat, known: int, digest: str
) -> ChatCompletion:
    now = timezone.now()
    fresh = new.messages[known:]
    said = last_said(fresh).encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
    turn = turn_create_now(session, said, [])
    turn_set_status(turn.id, TurnStatus.QUEUED, TurnStatus.RUNNING, started_at=now)
    turn.started_at = now
    Session.objects.filter(id=session.id).update(
        status=Status.RUNNING,
        provider=new.provider,
        model=new.model,
        lease_owner=new.lease,
        lease_until=now + dt.timedelta(seconds=LEASE_S),
        last_active_at=now,
    )
    messages, left_out = shown(fresh)
    log.append_now(
        session.id,
        [
            *([ProgramSent(turn.number, messages, left_out)] if messages else ()),
            TurnStarted(turn.number, new.provider, new.model),
            SessionStatus(Status.RUNNING),
        ],
    )
    return ChatCompletion.objects.create(
        owner=owner,
        session=session,
        turn=turn,
        api_key=new.api_key,
        provider=new.provider,
        model=new.model,
        request=dict(new.request) if new.is_stored else shortened(new.request),
        metadata=dict(new.metadata),
        is_stored=new.is_stored,
        digest=digest,
    )


def shortened(value: Any) -> Any:
    """Without the length of what is sent again with each call: images, recordings, files."""
    if isinstance(value, str) and len(value) > LONG_CHARACTERS:
        return f"{value[:200]} … {len(value) - 200:,} more characters"
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if isinstance(value, Mapping):
        return {key: shortened(item) for key, item in value.items()}
    return value


@database_sync_to_async
def chat_renew(*, chat: ChatCompletion, lease: str) -> bool:
    """Hold on to its session; True when a person asked for its end."""
    until = timezone.now() + dt.timedelta(seconds=LEASE_S)
    if chat.session_id is None or chat.turn_id is None:
        return True
    Session.objects.filter(id=chat.session_id, lease_owner=lease).update(lease_until=until)
    rows = Turn.objects.filter(id=chat.turn_id)
    return not rows.exists() or rows.filter(stop_requested_at__isnull=False).exists()


async def chat_end(
    *, chat: ChatCompletion, lease: str, end: ChatEnd, messages: Sequence[Message]
) -> None:
    """Note what it came to, and leave the session to the next call. Raises: LeaseLostError,
    NotFoundError when the session was deleted."""

    @database_sync_to_async
    def write() -> None:
        with transaction.atomic():
            _end_now(chat, lease, end)
            ChatCompletion.objects.filter(id=chat.id).update(**_ended_fields(end, messages))
            tokens = end.input_tokens + end.output_tokens
            tokens_charge_now(owner_id=chat.owner_id, key_id=chat.api_key_id, tokens=tokens)

    await write()
    if chat.session_id is not None:
        await bus.notify_changed(chat.session_id, chat.owner_id, supervisor=False)


def _end_now(chat: ChatCompletion, lease: str, end: ChatEnd) -> None:
    turn = chat.turn
    assert turn is not None
    assert turn.started_at is not None
    now = timezone.now()
    ended = TurnEnded(
        turn=turn.number,
        reason=end.reason,
        message=end.message,
        hint=end.hint,
        duration_ms=max(0, int((now - turn.started_at).total_seconds() * 1000)),
        input_tokens=end.input_tokens,
        output_tokens=end.output_tokens,
    )
    status = STATUS_AFTER.get(end.reason, Status.IDLE)
    log.append_now(turn.session_id, [ended, SessionStatus(status)], lease=lease)
    turn_set_status(
        turn.id, TurnStatus.RUNNING, TurnStatus.ENDED, end_reason=end.reason, ended_at=now
    )
    Session.objects.filter(id=turn.session_id).update(
        status=status, lease_owner="", lease_until=None, last_active_at=now
    )


def _ended_fields(end: ChatEnd, messages: Sequence[Message]) -> dict[str, Any]:
    answer = end.answer
    fields: dict[str, Any] = {
        "status": "failed" if answer is None else "completed",
        "answer": answer,
        "error": end.error,
        "input_tokens": end.input_tokens,
        "output_tokens": end.output_tokens,
        "completed_at": timezone.now(),
    }
    if answer is not None:
        fields["name"] = str(answer.get("id") or "")[:200]
        # What the program sends next goes on from the first choice, or it made several on purpose.
        said = [choice["message"] for choice in answer.get("choices") or ()][:1]
        fields["digest"] = digests([*messages, *said])[-1]
    return fields


async def chat_update(*, chat: ChatCompletion, metadata: Mapping[str, str]) -> None:
    await ChatCompletion.objects.filter(id=chat.id).aupdate(metadata=dict(metadata))


async def chat_delete(*, chat: ChatCompletion) -> None:
    """What was said stays in the log of the session."""
    await ChatCompletion.objects.filter(id=chat.id).adelete()


async def chats_expire() -> None:
    """Remove those that are older than they are kept."""
    await ChatCompletion.objects.filter(created_at__lt=timezone.now() - KEPT).adelete()


@database_sync_to_async
def chat_abandon(*, turn_id: int) -> None:
    """The process that asked the model is gone, and the program's connection with it."""
    rows = ChatCompletion.objects.filter(turn_id=turn_id, status=ChatCompletion.Status.IN_PROGRESS)
    rows.update(status=ChatCompletion.Status.FAILED, completed_at=timezone.now())
