"""Terminals people open in a session's container: their rows, and what the log says of them."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from sessions.errors import ConflictError, InvalidInputError
from sessions.events import bus, log
from sessions.events.types import Ending, ShellEnded, ShellOpened, ShellWriter
from sessions.models import Session, Shell
from sessions.sandbox.base import TerminalSize

MAX_OPEN_SHELLS = 8
"""Of one session. Each holds a process in the container and up to some MiB on both ends."""

_TOKEN = re.compile(r"[0-9a-f]{32}")
MAX_COLUMNS = 1000
MAX_ROWS = 500


def shell_size(columns: object, rows: object) -> TerminalSize:
    """Raises: InvalidInputError for a size no screen has."""
    if type(columns) is not int or type(rows) is not int:
        raise InvalidInputError("A terminal's size is two whole numbers.")
    if not (2 <= columns <= MAX_COLUMNS and 1 <= rows <= MAX_ROWS):
        raise InvalidInputError(
            f"A terminal has at most {MAX_COLUMNS} columns and {MAX_ROWS} rows."
        )
    return TerminalSize(columns, rows)


def viewer_name(shell_id: str, token: str) -> str:
    """By which everybody knows the page that calls itself `token`, and nobody learns that."""
    return hashlib.sha256(f"{shell_id} {token}".encode()).hexdigest()[:12]


def viewer_token(value: object) -> str:
    """What a page calls itself. Raises: InvalidInputError."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise InvalidInputError("`viewer` is 32 hexadecimal digits.", param="viewer")
    return value


async def shell_create(
    *,
    session: Session,
    user: User,
    container_id: str,
    size: TerminalSize,
    viewer: str = "",
    lease: str = "",
    request: Mapping[str, Any] | None = None,
) -> Shell:
    """A shell that is about to start in the container.

    `lease` names the process that follows it. `viewer` is the token of the page that opens it and gets the keyboard; empty for the first of
    the user's that looks. Raises: ConflictError when `MAX_OPEN_SHELLS` are open already.
    """
    shell_id = f"shell-{uuid.uuid4().hex}"

    @database_sync_to_async
    def write() -> Shell:
        with transaction.atomic():
            Session.objects.select_for_update().get(id=session.id)
            shells = Shell.objects.filter(session=session)
            if shells.filter(ended_at=None).count() >= MAX_OPEN_SHELLS:
                raise ConflictError(
                    f"{MAX_OPEN_SHELLS} shells are open in this session already. Close one first."
                )
            shell = Shell.objects.create(
                session=session,
                shell_id=shell_id,
                number=(shells.aggregate(last=Max("number"))["last"] or 0) + 1,
                container_id=container_id,
                holder=lease,
                opened_by=user,
                opener_name=user.get_username(),
                writer_name=user.get_username() if viewer else "",
                writer_viewer=viewer_name(shell_id, viewer) if viewer else "",
                columns=size.columns,
                rows=size.rows,
                request=request or {},
            )
            opened = ShellOpened(shell.shell_id, shell.opener_name, size.columns, size.rows)
            log.append_now(session.id, [opened])
            return shell

    shell = await write()
    await bus.notify(bus.session_topic(session.id))
    return shell


async def shell_take(*, shell: Shell, lease: str) -> None:
    """Let this process alone store what it prints, from now on; one that ended stays as it is."""
    await Shell.objects.filter(pk=shell.pk, ended_at=None).aupdate(holder=lease)
    await shell.arefresh_from_db(fields=["holder", "ended_at", "ending"])


async def shell_is_held(*, shell: Shell, lease: str) -> bool:
    return await Shell.objects.filter(pk=shell.pk, holder=lease).aexists()


async def shell_set_writer(*, shell: Shell, user_name: str, viewer: str) -> None:
    """Note who has the keyboard from now on."""

    @database_sync_to_async
    def write() -> None:
        with transaction.atomic():
            Shell.objects.filter(pk=shell.pk).update(writer_name=user_name, writer_viewer=viewer)
            log.append_now(shell.session_id, [ShellWriter(shell.shell_id, user_name, viewer)])

    await write()
    await bus.notify(bus.session_topic(shell.session_id))


async def shell_detach(*, shell: Shell) -> None:
    """A program's: it goes on without the program."""
    shell.request = {**shell.request, "is_detached": True}
    await Shell.objects.filter(pk=shell.pk).aupdate(request=shell.request)


async def shell_end(*, shell: Shell, ending: Ending, pty_bytes: int, reason: str = "") -> bool:
    """Note how the shell ended; False when that was noted before. A shell ends once."""

    @database_sync_to_async
    def write() -> bool:
        with transaction.atomic():
            now = timezone.now()
            rows = Shell.objects.filter(pk=shell.pk, ended_at=None)
            if not rows.update(ended_at=now, ending=ending.to_json()):
                return False
            ended = ShellEnded(
                shell_id=shell.shell_id,
                ending=ending.to_json(),
                duration_ms=max(0, int((now - shell.opened_at).total_seconds() * 1000)),
                pty_bytes=pty_bytes,
                reason=reason,
            )
            log.append_now(shell.session_id, [ended])
            return True

    is_first = await write()
    await bus.notify(bus.session_topic(shell.session_id))
    return is_first
