"""Responses that programs ask for: each is a turn of a session."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from sessions.errors import ConflictError
from sessions.events import bus
from sessions.models import (
    ApiKey,
    ApiResponse,
    Conversation,
    ConversationItem,
    Session,
    SessionSkill,
    Turn,
)
from sessions.models import SessionStatus as Status
from sessions.sandbox.limits import Limits
from sessions.sandbox.setup import Setup
from sessions.services.carried import carried
from sessions.services.conversations import conversation_items_add_now
from sessions.services.rate_limits import UNFINISHED, check_response_now, tokens_charge_now
from sessions.services.session_skills import NewSkill, skills_add_now, skills_kept
from sessions.services.uploads import KeptFile, NewUpload, with_files
from sessions.services.work import (
    check_room_now,
    clean_text,
    session_create_now,
    title_from,
    turn_create_now,
    turn_remove_now,
    turn_stop_now,
)

UNSTORED_KEPT = dt.timedelta(minutes=10)
"""How long a response with `store: false` can be asked for after its end, as at the hosted API."""
STORED_KEPT = dt.timedelta(days=30)


class KeyTakenError(ConflictError):
    """Another response of the same owner has the idempotency key."""

    code = "idempotency_key_in_use"


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a session is made with, where a response does not go on in one that is there."""

    id: uuid.UUID
    image: str
    limits: Limits
    expires_after_s: int
    setup: Setup = field(default_factory=Setup)


@dataclass(frozen=True, slots=True)
class NewResponse:
    provider: str
    model: str
    request: Mapping[str, Any]
    input: Sequence[Mapping[str, Any]]
    text: str
    """For a person who watches."""
    previous: ApiResponse | None = None
    conversation: Conversation | None = None
    api_key: ApiKey | None = None
    is_background: bool = False
    holder: str = ""
    is_stored: bool = True
    cache_key: str = ""
    idempotency_key: str = ""
    idempotency_hash: str = ""


async def response_create(
    *,
    owner: User,
    session: Session | NewSession,
    new: NewResponse,
    files: Sequence[NewUpload] = (),
    skills: Sequence[NewSkill] = (),
) -> ApiResponse:
    """Queue it as a turn. `skills` are added to those of the session. Raises: ConflictError when
    too many wait in the session, TooManyRequestsError, KeyTakenError, InvalidInputError,
    DiskFullError, NotFoundError."""
    text = clean_text(new.text)

    async def store() -> ApiResponse:
        async with skills_kept(skills) as rows:
            return await with_files(session.id, files, lambda kept: write(kept, rows))

    def write(kept: list[KeptFile], skill_rows: list[SessionSkill]) -> ApiResponse:
        with transaction.atomic():
            check_response_now(owner=owner, key=new.api_key)
            row = session if isinstance(session, Session) else _begin(owner, session, new, text)
            first_seq = check_room_now(row)
            skills_add_now(row, skill_rows)
            turn = turn_create_now(row, text, kept)
            try:
                with transaction.atomic():
                    return _response(owner, row, turn, new, first_seq)
            except IntegrityError as error:
                if not new.idempotency_key:
                    raise
                raise KeyTakenError("The Idempotency-Key is in use.") from error

    response = await carried(store())
    await _changed(response)
    return response


def _begin(owner: User, wanted: NewSession, new: NewResponse, text: str) -> Session:
    return session_create_now(
        session_id=wanted.id,
        owner=owner,
        title=title_from(text),
        status=Status.STARTING,
        provider=new.provider,
        model=new.model,
        image=wanted.image,
        limits=wanted.limits,
        expires_after_s=wanted.expires_after_s,
        setup=wanted.setup,
    )


def _response(
    owner: User, session: Session, turn: Turn, new: NewResponse, first_seq: int
) -> ApiResponse:
    status = ApiResponse.Status.QUEUED if new.is_background else ApiResponse.Status.IN_PROGRESS
    return ApiResponse.objects.create(
        owner=owner,
        session=session,
        turn=turn,
        conversation=new.conversation,
        previous=new.previous,
        api_key=new.api_key,
        provider=new.provider,
        model=new.model,
        request=dict(new.request),
        input=list(new.input),
        status=status,
        is_background=new.is_background,
        holder=new.holder,
        is_stored=new.is_stored,
        first_seq=first_seq,
        cache_key=new.cache_key,
        idempotency_key=new.idempotency_key,
        idempotency_hash=new.idempotency_hash,
    )


async def _changed(response: ApiResponse) -> None:
    if response.session_id is not None:
        await bus.notify_changed(response.session_id, response.owner_id)


async def response_stop(*, response: ApiResponse) -> None:
    """Take its turn back when that has not begun, else ask for its end."""

    @database_sync_to_async
    def write() -> bool:
        with transaction.atomic():
            turn = Turn.objects.filter(api_response=response).first()
            return turn is not None and (turn_remove_now(turn) or turn_stop_now(turn))

    if await write():
        await _changed(response)


@database_sync_to_async
def response_end(
    *, response: ApiResponse, fields: Mapping[str, Any], output: Sequence[Mapping[str, Any]]
) -> None:
    """Note what it came to, once; its conversation then goes on with it."""
    with transaction.atomic():
        rows = ApiResponse.objects.filter(id=response.id, status__in=UNFINISHED)
        if not rows.update(output=list(output), **fields):
            return
        tokens = fields.get("input_tokens", 0) + fields.get("output_tokens", 0)
        tokens_charge_now(owner_id=response.owner_id, key_id=response.api_key_id, tokens=tokens)
        if response.conversation_id is None:
            return
        conversation = Conversation.objects.filter(id=response.conversation_id).first()
        if conversation is None:
            return
        items = [*response.input, *output]
        ids = [item["id"] for item in items]
        there = ConversationItem.objects.filter(conversation=conversation, item_id__in=ids)
        taken = set(there.values_list("item_id", flat=True))
        fresh = {item["id"]: item for item in items if item["id"] not in taken}
        conversation_items_add_now(conversation, list(fresh.values()))


async def response_delete(*, response: ApiResponse) -> None:
    """It cannot be asked for any more. What it holds goes with the last response that goes on from
    it."""
    await ApiResponse.objects.filter(id=response.id).aupdate(deleted_at=timezone.now())
    await response_stop(response=response)


async def responses_expire() -> None:
    """Remove those that are deleted, or older than they are kept."""
    now = timezone.now()
    ended = ApiResponse.objects.exclude(status__in=UNFINISHED).filter(next=None)
    await ended.filter(deleted_at__isnull=False).adelete()
    await ended.filter(is_stored=False, completed_at__lt=now - UNSTORED_KEPT).adelete()
    await ended.filter(conversation=None, completed_at__lt=now - STORED_KEPT).adelete()
