"""One session's page, its name, its end, and the raw output of its calls."""

import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

from django.http import HttpResponseBase, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.shortcuts import render, resolve_url
from django.views.decorators.http import require_GET, require_POST

from sessions import selectors, services
from sessions.errors import InvalidInputError, NotFoundError
from sessions.events import log
from sessions.events.types import (
    CallEnded,
    CallStarted,
    Output,
    OutputDropped,
    ShellEnded,
    ShellOpened,
)
from sessions.models import Session
from sessions.runtime.wiring import runtime
from sessions.sandbox.limits import Limits, size_text
from sessions.web.forms import expiry_choices
from sessions.web.http import UserHttpRequest, signed_in, wants_json

MODEL_NOTES = {"scripted": "scripted", "local": "local, small"}
STREAMS = frozenset({"stdout", "stderr", "pty"})


@require_GET
@signed_in
async def session_page(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    session = await selectors.session_get(user=request.user, session_id=session_id)
    context = {
        "agent_session": session,
        "session_id": session.id,
        "owner_name": session.owner.get_username() if session.owner != request.user else "",
        "model_note": MODEL_NOTES.get(session.provider, ""),
        "has_requests": await selectors.session_has_requests(session=session),
    }
    if session.is_chat:
        # Without a container: nothing of what one might use is shown.
        return render(request, "sessions/chat.html", context)
    context |= {
        "is_bare": await selectors.session_is_bare(session=session),
        "limit_rows": limit_rows(session, has_disk_quota=await runtime().has_disk_quota()),
        "skills": await selectors.session_skills(session=session),
        "expiry_choices": expiry_choices(session.expires_after_s),
        "max_text_bytes": services.MAX_TEXT_BYTES,
        "max_upload_bytes": services.MAX_UPLOAD_BYTES,
    }
    return render(request, "sessions/session.html", context)


def limit_rows(session: Session, *, has_disk_quota: bool | None) -> list[tuple[str, str]]:
    """What the session may use, as label and value."""
    limits = Limits.from_json(session.limits)
    disk = {True: ", quota", False: ", watched", None: ""}[has_disk_quota]
    return [
        ("Image", session.image),
        ("Memory", size_text(limits.memory_bytes)),
        ("CPUs", f"{limits.cpus:g}"),
        ("Processes", str(limits.pids)),
        ("Disk", f"{size_text(limits.disk_bytes)}{disk}"),
        ("Command time", _duration(limits.command_timeout_s)),
        ("Output per command", size_text(limits.max_output_bytes)),
        ("Container life", _duration(limits.session_time_s)),
        ("Steps per turn", str(limits.max_steps)),
        ("Tokens per turn", f"{limits.max_tokens:,}"),
        ("Network", "none but loopback"),
    ]


def _duration(seconds: float) -> str:
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


@require_POST
@signed_in
async def session_rename(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    session = await selectors.session_get(user=request.user, session_id=session_id)
    await services.session_rename(session=session, title=request.POST.get("title", ""))
    await session.arefresh_from_db(fields=["title"])
    return JsonResponse({"title": session.title})


@require_POST
@signed_in
async def session_delete(request: UserHttpRequest, session_id: uuid.UUID) -> HttpResponseBase:
    session = await selectors.session_get(user=request.user, session_id=session_id)
    await services.session_delete(session=session)
    if wants_json(request):
        return JsonResponse({"deleted": str(session.id)})
    return HttpResponseRedirect(resolve_url("dashboard"))


@require_GET
@signed_in
async def call_output(
    request: UserHttpRequest, session_id: uuid.UUID, call_id: str
) -> HttpResponseBase:
    """The stored bytes of a call as they came, both streams joined in the order of the log, or
    one of them with `?stream=`. A line of its own stands where bytes were not stored."""
    session = await selectors.session_get(user=request.user, session_id=session_id)
    stream = request.GET.get("stream", "")
    if stream and stream not in STREAMS:
        raise InvalidInputError("`stream` is stdout, stderr or pty.", param="stream")
    start = await _call_seq(session.id, call_id)
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", call_id)[:60]
    suffix = f"-{stream}" if stream else ""
    headers = {
        "Content-Disposition": f'attachment; filename="{name}{suffix}.log"',
        "X-Content-Type-Options": "nosniff",
    }
    pieces = _call_bytes(session.id, call_id, stream, start)
    return StreamingHttpResponse(pieces, content_type="application/octet-stream", headers=headers)


async def _call_seq(session_id: uuid.UUID, call_id: str) -> int:
    """Raises: NotFoundError when the session has no such call and no such shell."""
    after = 0
    types = [CallStarted.type, ShellOpened.type]
    while batch := await log.read(session_id, after=after, types=types):
        for event in batch:
            body = event.body
            if call_id == getattr(body, "call_id", None) or call_id == getattr(
                body, "shell_id", None
            ):
                return event.seq
        after = batch[-1].seq
    raise NotFoundError("There is no such call in this session.")


async def _call_bytes(
    session_id: uuid.UUID, call_id: str, stream: str, after: int
) -> AsyncIterator[bytes]:
    types = [Output.type, OutputDropped.type, CallEnded.type, ShellEnded.type]
    while batch := await log.read(session_id, after=after, types=types):
        for event in batch:
            body: Any = event.body
            if call_id != (body.shell_id if isinstance(body, ShellEnded) else body.call_id):
                continue
            if isinstance(body, CallEnded | ShellEnded):
                return
            if stream and body.stream != stream:
                continue
            if isinstance(body, OutputDropped):
                yield _gap(body, await _log_path(session_id, call_id, event.seq))
            else:
                yield body.content
        after = batch[-1].seq


async def _log_path(session_id: uuid.UUID, call_id: str, after: int) -> str:
    """Where in the container all output of the call is; empty until it has ended."""
    while batch := await log.read(session_id, after=after, types=[CallEnded.type]):
        for event in batch:
            if isinstance(event.body, CallEnded) and event.body.call_id == call_id:
                return event.body.log_path
        after = batch[-1].seq
    return ""


def _gap(dropped: OutputDropped, log_path: str) -> bytes:
    # The path comes from the container: nothing in it may look like a line of its own.
    path = "".join(c if c.isprintable() else "\ufffd" for c in log_path)
    where = f"; all output is in {path} in the container" if path else ""
    line = f"\n[Berth: {dropped.length:,} bytes of {dropped.stream} left out here{where}]\n"
    return line.encode("utf-8", "replace")
