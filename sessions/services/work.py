"""Sessions and their turns."""

import unicodedata
import uuid
from collections.abc import Sequence

from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from sessions.errors import ConflictError, InvalidInputError, NotFoundError
from sessions.events import bus, log
from sessions.events.types import (
    SessionCreated,
    SessionStatus,
    TurnQueued,
    TurnRemoved,
    TurnStopping,
)
from sessions.models import (
    DEFAULT_EXPIRES_AFTER_S,
    TURN_TRANSITIONS,
    Session,
    SessionSkill,
    Turn,
    TurnStatus,
    Upload,
)
from sessions.models import SessionStatus as Status
from sessions.sandbox.limits import MIB, Limits
from sessions.sandbox.setup import Setup
from sessions.services.carried import carried
from sessions.services.session_skills import NewSkill, skills_add_now, skills_kept
from sessions.services.uploads import KeptFile, NewUpload, uploads_forget, with_files

MAX_TEXT_BYTES = 1 * MIB
MAX_QUEUED_TURNS = 50
NO_SETUP = Setup()


def clean_text(text: str) -> str:
    """The text as it can be stored: NUL and lone surrogates replaced.

    Raises: InvalidInputError when there is nothing in it or more than `MAX_TEXT_BYTES`.
    """
    stored = text.replace("\0", "\ufffd").encode("utf-8", "replace")
    if not stored.strip():
        raise InvalidInputError("Write what the agent should do.", param="text")
    if len(stored) > MAX_TEXT_BYTES:
        raise InvalidInputError(
            f"The message is {len(stored) / MIB:.1f} MiB long; at most "
            f"{MAX_TEXT_BYTES // MIB} MiB is accepted. Upload it as a file instead.",
            param="text",
        )
    return stored.decode()


def title_from(text: str) -> str:
    """The first line with something in it, without control and direction marks, cut to 80.

    A line that opens a code block names a language, not a task."""
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            continue
        words = "".join(c for c in line if unicodedata.category(c)[0] != "C").strip(" #`*-")
        if words:
            return words if len(words) <= 80 else words[:79].rstrip() + "…"
    return "Untitled"


def turn_create_now(session: Session, text: str, files: Sequence[KeptFile]) -> Turn:
    """Within a transaction."""
    last = Turn.objects.filter(session=session).aggregate(last=Max("number"))["last"] or 0
    turn = Turn.objects.create(session=session, number=last + 1, text=text)
    Upload.objects.bulk_create(
        Upload(turn=turn, name=file.name, stored_path=str(file.path), size=file.size)
        for file in files
    )
    names = [file.name for file in files]
    log.append_now(session.id, [TurnQueued(turn=turn.number, text=text, files=names)])
    return turn


async def _changed(session: Session, *, supervisor: bool = True) -> None:
    await bus.notify_changed(session.id, session.owner_id, supervisor=supervisor)


def session_create_now(  # noqa: PLR0913 - the columns of one row, all named
    *,
    owner: User,
    title: str,
    status: Status,
    provider: str,
    model: str,
    image: str,
    limits: Limits,
    expires_after_s: int,
    setup: Setup = NO_SETUP,
    session_id: uuid.UUID | None = None,
    is_tour: bool = False,
) -> Session:
    """The row and the first events of its log. Within a transaction."""
    session = Session.objects.create(
        id=session_id or uuid.uuid4(),
        owner=owner,
        title=title,
        status=status,
        provider=provider,
        model=model,
        image=image,
        limits=limits.to_json(),
        setup=setup.to_json(),
        is_tour=is_tour,
        expires_after_s=expires_after_s,
    )
    created = SessionCreated(
        title=title, provider=provider, model=model, image=image, limits=session.limits
    )
    log.append_now(session.id, [created, SessionStatus(status=status)])
    return session


async def session_create(  # noqa: PLR0913 - the columns of one row, all named
    *,
    owner: User,
    text: str,
    provider: str,
    model: str,
    image: str,
    limits: Limits,
    files: Sequence[NewUpload] = (),
    is_tour: bool = False,
    expires_after_s: int = DEFAULT_EXPIRES_AFTER_S,
    setup: Setup = NO_SETUP,
    skills: Sequence[NewSkill] = (),
) -> Session:
    """A session with its first turn queued. Raises: InvalidInputError, DiskFullError,
    NotFoundError for a skill that was deleted meanwhile."""
    text = clean_text(text)
    title = "Guided tour" if is_tour else title_from(text)
    session_id = uuid.uuid4()

    def write(kept: list[KeptFile], skill_rows: list[SessionSkill]) -> Session:
        with transaction.atomic():
            session = session_create_now(
                session_id=session_id,
                owner=owner,
                title=title,
                status=Status.STARTING,
                provider=provider,
                model=model,
                image=image,
                limits=limits,
                is_tour=is_tour,
                expires_after_s=expires_after_s,
                setup=setup,
            )
            skills_add_now(session, skill_rows)
            turn_create_now(session, text, kept)
        return session

    async def store() -> Session:
        async with skills_kept(skills) as rows:
            return await with_files(session_id, files, lambda kept: write(kept, rows))

    session = await carried(store())
    await _changed(session)
    return session


async def container_create(  # noqa: PLR0913 - the columns of one row, all named
    *,
    owner: User,
    name: str,
    provider: str,
    model: str,
    image: str,
    limits: Limits,
    expires_after_s: int = DEFAULT_EXPIRES_AFTER_S,
    setup: Setup = NO_SETUP,
    skills: Sequence[NewSkill] = (),
) -> Session:
    """A session that no message began: its container is made with the first use of it. It is
    called `name`, less what cannot be shown. Raises: DiskFullError, InvalidInputError,
    NotFoundError for a skill that was deleted meanwhile."""
    title = "".join(c for c in name if unicodedata.category(c)[0] != "C") or "Untitled"

    @database_sync_to_async
    def write(skill_rows: list[SessionSkill]) -> Session:
        with transaction.atomic():
            session = session_create_now(
                owner=owner,
                title=title,
                status=Status.IDLE,
                provider=provider,
                model=model,
                image=image,
                limits=limits,
                expires_after_s=expires_after_s,
                setup=setup,
            )
            skills_add_now(session, skill_rows)
        return session

    async def store() -> Session:
        async with skills_kept(skills) as rows:
            return await write(rows)

    session = await carried(store())
    await _changed(session, supervisor=False)
    return session


def check_room_now(session: Session) -> int:
    """Note the use of it; the number of its last event. Within a transaction, which keeps others from
    queueing meanwhile. Raises: NotFoundError, ConflictError when `MAX_QUEUED_TURNS` wait already."""
    row = Session.objects.select_for_update().filter(id=session.id).first()
    if row is None:
        raise NotFoundError("There is no such session.")
    waiting = Turn.objects.filter(session=row, status=TurnStatus.QUEUED).count()
    if waiting >= MAX_QUEUED_TURNS:
        raise ConflictError(f"{waiting} messages wait already. Remove some first.")
    Session.objects.filter(id=row.id).update(last_active_at=timezone.now())
    return row.last_seq


async def turn_submit(*, session: Session, text: str, files: Sequence[NewUpload] = ()) -> Turn:
    """Queue a message; it starts when the turns before it have ended.

    Raises: InvalidInputError, DiskFullError, ConflictError when `MAX_QUEUED_TURNS` wait already, or
    a program leads the conversation.
    """
    if session.is_chat:
        raise ConflictError("A program leads this conversation; it takes no messages of people.")
    text = clean_text(text)

    def write(kept: list[KeptFile]) -> Turn:
        with transaction.atomic():
            check_room_now(session)
            return turn_create_now(session, text, kept)

    turn = await with_files(session.id, files, write)
    await _changed(session)
    return turn


def turn_set_status(
    turn_id: int, source: TurnStatus, target: TurnStatus, **fields: object
) -> bool:
    """Move a turn on if it is still in `source`; False when someone else was first."""
    assert target in TURN_TRANSITIONS[source]
    rows = Turn.objects.filter(id=turn_id, status=source)
    return bool(rows.update(status=target, **fields))


def turn_remove_now(turn: Turn) -> bool:
    """Within a transaction; False when it has begun."""
    now = timezone.now()
    if not turn_set_status(turn.id, TurnStatus.QUEUED, TurnStatus.REMOVED, ended_at=now):
        return False
    uploads_forget(turn)
    log.append_now(turn.session_id, [TurnRemoved(turn=turn.number)])
    return True


def turn_stop_now(turn: Turn) -> bool:
    """Within a transaction; False when it does not run, or was asked to end before."""
    running = Turn.objects.filter(id=turn.id, status=TurnStatus.RUNNING, stop_requested_at=None)
    if not running.update(stop_requested_at=timezone.now()):
        return False
    log.append_now(turn.session_id, [TurnStopping(turn=turn.number)])
    return True


async def turn_remove(*, session: Session, number: int) -> None:
    """Take back a message that has not started. Raises: NotFoundError, ConflictError."""

    @database_sync_to_async
    def write() -> None:
        with transaction.atomic():
            turn = Turn.objects.filter(session=session, number=number).first()
            if turn is None:
                raise NotFoundError("There is no such message.")
            if not turn_remove_now(turn):
                raise ConflictError("The message has started already.")

    await write()
    await _changed(session)


async def turn_stop(*, session: Session) -> bool:
    """Ask for the end of the running turn; False when none runs. Asking twice is asking once."""

    @database_sync_to_async
    def write() -> bool:
        with transaction.atomic():
            turn = Turn.objects.filter(session=session, status=TurnStatus.RUNNING).first()
            if turn is None:
                return False
            turn_stop_now(turn)
        return True

    is_stopping = await write()
    await _changed(session)
    return is_stopping


async def session_rename(*, session: Session, title: str) -> None:
    """Raises: InvalidInputError."""
    if not title.strip():
        raise InvalidInputError("A title needs at least one character.", param="title")
    await Session.objects.filter(id=session.id).aupdate(title=title_from(title))
    await _changed(session, supervisor=False)


async def session_delete(*, session: Session) -> None:
    """Hide the session at once; the supervisor then stops it and reclaims all it owns."""
    now = timezone.now()
    await Session.objects.filter(id=session.id, deletion_requested_at=None).aupdate(
        deletion_requested_at=now
    )
    await Turn.objects.filter(
        session=session, status=TurnStatus.RUNNING, stop_requested_at=None
    ).aupdate(stop_requested_at=now)
    await _changed(session)
