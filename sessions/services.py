"""Every write a front door can ask for, named `<entity>_<action>`.

All are async and keyword-only. Access is the caller's to check first (selectors.session_get).
"""

import asyncio
import contextlib
import datetime as dt
import errno
import hashlib
import os
import secrets
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from sessions.errors import ConflictError, DiskFullError, InvalidInputError, NotFoundError
from sessions.events import bus, log
from sessions.events.types import (
    SessionCreated,
    SessionStatus,
    TurnQueued,
    TurnRemoved,
    TurnStopping,
)
from sessions.models import (
    TURN_TRANSITIONS,
    ApiKey,
    Session,
    SignInLink,
    Turn,
    TurnStatus,
    Upload,
)
from sessions.models import SessionStatus as Status
from sessions.sandbox.limits import MIB, Limits

T = TypeVar("T")

MAX_TEXT_BYTES = 1 * MIB
MAX_QUEUED_TURNS = 50
MAX_UPLOAD_BYTES = 512 * MIB
"""Of all files that come with one message; larger ones go through the Files tab."""
SIGN_IN_LINK_LIFE = dt.timedelta(hours=1)
KEY_USE_NOTED_EVERY = dt.timedelta(minutes=1)

_storing: set[asyncio.Task[Any]] = set()
"""Messages on their way into the database: the loop itself keeps no task alive."""


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A file as it was sent. `name` is its bare name; `size` in bytes."""

    name: str
    chunks: Iterable[bytes]
    size: int


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


def upload_name(name: str) -> str:
    """The bare file name, percent-encoded. Raises: InvalidInputError."""
    bare = name.replace("\\", "/").rsplit("/", 1)[-1]
    if bare in {"", ".", ".."} or "\0" in bare or len(os.fsencode(bare)) > 255:
        raise InvalidInputError("One of the files has a name that cannot be used.", param="files")
    return quote(os.fsencode(bare), safe="")


@dataclass(frozen=True, slots=True)
class _KeptFile:
    """A file on the host that no row of the database names yet."""

    name: str
    path: Path
    size: int


def _files_keep(session_id: uuid.UUID, files: Sequence[NewUpload]) -> list[_KeptFile]:
    """Write the files to the host, where they wait for a runner: all of them or none.

    Raises: InvalidInputError, DiskFullError.
    """
    if sum(file.size for file in files) > MAX_UPLOAD_BYTES:
        raise InvalidInputError(
            f"The files are larger than {MAX_UPLOAD_BYTES // MIB} MiB together.", param="files"
        )
    names = [upload_name(file.name) for file in files]
    paths = [upload_folder(session_id) / uuid.uuid4().hex for _ in files]
    try:
        sizes = [_write(path, file.chunks) for path, file in zip(paths, files, strict=True)]
    except BaseException as error:
        _files_remove(paths)
        if not isinstance(error, OSError):
            raise
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        reason = "The server's disk is full" if is_full else f"The server's disk: {error.strerror}"
        raise DiskFullError(f"{reason}. The files were not sent.", param="files") from error
    return [_KeptFile(*kept) for kept in zip(names, paths, sizes, strict=True)]


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as out:
        return sum(out.write(chunk) for chunk in chunks)


def _files_remove(paths: Sequence[Path]) -> None:
    """Remove the files, and the session's folder when they were all there was in it."""
    with contextlib.suppress(OSError):
        for path in paths:
            path.unlink(missing_ok=True)
        for path in paths[:1]:
            path.parent.rmdir()


async def _with_files(
    session_id: uuid.UUID, files: Sequence[NewUpload], write: Callable[[list[_KeptFile]], T]
) -> T:
    """What `write` returns, which stores rows that name the files; they go when it fails.

    The files are on the disk before it begins, for a transaction keeps all other writers waiting.
    Once begun it is carried to its end: a browser that goes away must not part files and rows.
    """

    async def store() -> T:
        kept = await asyncio.to_thread(_files_keep, session_id, files) if files else []
        try:
            return await database_sync_to_async(write)(kept)
        except BaseException:
            await asyncio.to_thread(_files_remove, [file.path for file in kept])
            raise

    task = asyncio.create_task(store())
    _storing.add(task)
    task.add_done_callback(_storing.discard)
    return await asyncio.shield(task)


def upload_folder(session_id: uuid.UUID) -> Path:
    return Path(settings.VAR_DIR) / "uploads" / str(session_id)


def _turn_create(session: Session, text: str, files: Sequence[_KeptFile]) -> Turn:
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
    await bus.notify(bus.session_topic(session.id))
    await bus.notify(bus.owner_topic(session.owner_id))
    await bus.notify(bus.STAFF_TOPIC)
    if supervisor:
        await bus.notify(bus.SUPERVISOR_TOPIC)


async def session_create(
    *,
    owner: User,
    text: str,
    provider: str,
    model: str,
    image: str,
    limits: Limits,
    files: Sequence[NewUpload] = (),
    is_tour: bool = False,
) -> Session:
    """A session with its first turn queued. Raises: InvalidInputError, DiskFullError."""
    text = clean_text(text)
    title = "Guided tour" if is_tour else title_from(text)
    session_id = uuid.uuid4()

    def write(kept: list[_KeptFile]) -> Session:
        with transaction.atomic():
            session = Session.objects.create(
                id=session_id,
                owner=owner,
                title=title,
                provider=provider,
                model=model,
                image=image,
                limits=limits.to_json(),
                is_tour=is_tour,
            )
            created = SessionCreated(
                title=title, provider=provider, model=model, image=image, limits=session.limits
            )
            log.append_now(session.id, [created, SessionStatus(status=Status.STARTING)])
            _turn_create(session, text, kept)
        return session

    session = await _with_files(session_id, files, write)
    await _changed(session)
    return session


async def turn_submit(*, session: Session, text: str, files: Sequence[NewUpload] = ()) -> Turn:
    """Queue a message; it starts when the turns before it have ended.

    Raises: InvalidInputError, DiskFullError, ConflictError when `MAX_QUEUED_TURNS` wait already.
    """
    text = clean_text(text)

    def write(kept: list[_KeptFile]) -> Turn:
        with transaction.atomic():
            Session.objects.select_for_update().get(id=session.id)
            waiting = Turn.objects.filter(session=session, status=TurnStatus.QUEUED).count()
            if waiting >= MAX_QUEUED_TURNS:
                raise ConflictError(f"{waiting} messages wait already. Remove some first.")
            return _turn_create(session, text, kept)

    turn = await _with_files(session.id, files, write)
    await _changed(session)
    return turn


def turn_set_status(
    turn_id: int, source: TurnStatus, target: TurnStatus, **fields: object
) -> bool:
    """Move a turn on if it is still in `source`; False when someone else was first."""
    assert target in TURN_TRANSITIONS[source]
    rows = Turn.objects.filter(id=turn_id, status=source)
    return bool(rows.update(status=target, **fields))


async def turn_remove(*, session: Session, number: int) -> None:
    """Take back a message that has not started. Raises: NotFoundError, ConflictError."""

    @database_sync_to_async
    def write() -> None:
        with transaction.atomic():
            turn = Turn.objects.filter(session=session, number=number).first()
            if turn is None:
                raise NotFoundError("There is no such message.")
            if not turn_set_status(
                turn.id, TurnStatus.QUEUED, TurnStatus.REMOVED, ended_at=timezone.now()
            ):
                raise ConflictError("The message has started already.")
            _uploads_forget(turn)
            log.append_now(session.id, [TurnRemoved(turn=number)])

    await write()
    await _changed(session)


def _uploads_forget(turn: Turn) -> None:
    for upload in turn.uploads.all():
        Path(upload.stored_path).unlink(missing_ok=True)
    turn.uploads.all().delete()


async def turn_stop(*, session: Session) -> bool:
    """Ask for the end of the running turn; False when none runs. Asking twice is asking once."""

    @database_sync_to_async
    def write() -> bool:
        with transaction.atomic():
            turn = Turn.objects.filter(session=session, status=TurnStatus.RUNNING).first()
            if turn is None:
                return False
            asked = Turn.objects.filter(id=turn.id, stop_requested_at=None).update(
                stop_requested_at=timezone.now()
            )
            if asked:
                log.append_now(session.id, [TurnStopping(turn=turn.number)])
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


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


async def sign_in_link_create(*, user: User) -> str:
    """The token of a link that signs `user` in once within `SIGN_IN_LINK_LIFE`."""
    token = secrets.token_urlsafe(32)
    await SignInLink.objects.acreate(
        user=user, token_hash=_hash(token), expires_at=timezone.now() + SIGN_IN_LINK_LIFE
    )
    return token


async def sign_in_link_use(*, token: str) -> User:
    """The link's user; it works once. Raises: NotFoundError for all but a fresh link."""
    now = timezone.now()
    links = SignInLink.objects.filter(
        token_hash=_hash(token), used_at=None, expires_at__gt=now, user__is_active=True
    )
    link = await links.select_related("user").afirst()
    if link is None or not await links.filter(id=link.id).aupdate(used_at=now):
        raise NotFoundError("This link has been used or has expired.")
    return link.user


async def sign_in_link_is_fresh(*, token: str) -> bool:
    return await SignInLink.objects.filter(
        token_hash=_hash(token), used_at=None, expires_at__gt=timezone.now(), user__is_active=True
    ).aexists()


async def api_key_create(*, user: User, name: str) -> tuple[ApiKey, str]:
    """The key's row and its secret, which is not kept. Raises: InvalidInputError."""
    name = name.strip()[:100]
    if not name:
        raise InvalidInputError("Give the key a name.", param="name")
    secret = f"berth_{secrets.token_urlsafe(32)}"
    key = await ApiKey.objects.acreate(
        user=user, name=name, prefix=secret[:12], key_hash=_hash(secret)
    )
    return key, secret


async def api_key_user(*, secret: str) -> User | None:
    """Whose key this is; None when it is unknown or revoked, or its user is not active.

    Notes the use, at most once in `KEY_USE_NOTED_EVERY`: reads must not each cost a write.
    """
    keys = ApiKey.objects.filter(key_hash=_hash(secret), revoked_at=None, user__is_active=True)
    key = await keys.select_related("user").afirst()
    if key is None:
        return None
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at <= now - KEY_USE_NOTED_EVERY:
        await keys.aupdate(last_used_at=now)
    return key.user


async def api_key_revoke(*, user: User, key_id: int) -> None:
    """Raises: NotFoundError."""
    revoked = await ApiKey.objects.filter(user=user, id=key_id, revoked_at=None).aupdate(
        revoked_at=timezone.now()
    )
    if not revoked:
        raise NotFoundError("There is no such key.")


@database_sync_to_async
def admin_ensure() -> User:
    """The first administrator, made without a password when there is none."""
    users = get_user_model().objects
    admin = users.filter(is_staff=True, is_active=True).order_by("id").first()
    if admin is None:
        admin = users.create_superuser("admin")
    assert isinstance(admin, User)
    return admin
