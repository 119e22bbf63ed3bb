"""`/v1/containers/{id}/exec` as a websocket: a command in a terminal, for a program.

A text frame is one JSON object with a `type`; a binary frame is bytes: what is typed from a
program, what the terminal shows to it. The terminal is one of the session's shells: people see it
live, it is logged, and whoever has the keyboard types.
"""

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from django.contrib.auth.models import User
from pydantic import Field

from sessions import selectors, services
from sessions.agent.stop import StopSignal
from sessions.api.containers import live_url
from sessions.api.errors import ApiError, from_berth, not_found
from sessions.api.execs import ExecOptions, outcome_of, spec_of
from sessions.api.schema import RequestPart
from sessions.api.validation import parsed_json, validated
from sessions.errors import BerthError, InvalidInputError, NotFoundError
from sessions.models import Session, Shell
from sessions.responses.ids import CONTAINER, format_id, parse_id
from sessions.runtime.callers import header, network_of
from sessions.runtime.calls import Stopped
from sessions.runtime.keys import bearer, check_scope, key_of
from sessions.runtime.shell_command import TerminalRequest
from sessions.runtime.shell_feed import Gap, Piece, ShellFeed
from sessions.runtime.shell_live import LiveShell, ShellViewer
from sessions.runtime.wiring import runtime
from sessions.sandbox.base import TerminalSize
from sessions.services.carried import carried

logger = logging.getLogger(__name__)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATH = re.compile(r"/v1/containers/([^/]+)/exec")
SUBPROTOCOL = "berth.exec.v1"
SCOPE = "containers.write"
CLOSE_DONE = 1000
CLOSE_FAILED = 1011
CLOSE_REFUSED = 4400
"""An `error` frame before it says why."""
CLOSE_ELSEWHERE = 4409
FIRST_FRAME_S = 30.0
CHECK_S = 15.0
"""How often the key and the session are looked at again."""
CREDIT_STEP_BYTES = 64 * 1024
MAX_FRAME_BYTES = 1024 * 1024
CONTROL_KEYS = {"INT": b"\x03", "QUIT": b"\x1c", "TSTP": b"\x1a"}
END_OF_INPUT = b"\x04"


class StartTerminal(ExecOptions):
    type: str
    command: str | list[str] | None = Field(None, description="An interactive shell without one.")  # type: ignore[assignment]  # what others need is optional here
    columns: int = 80
    rows: int = 24
    detach: bool = Field(False, description="It goes on when the connection ends.")


class AttachTerminal(RequestPart):
    type: str
    exec_id: str
    offset: int | None = Field(None, ge=0, description="What was seen; all of the screen without.")


class ResizeTerminal(RequestPart):
    type: str
    columns: int
    rows: int


class SignalTerminal(RequestPart):
    type: str
    name: str


class _LeftError(Exception):
    """The program closed the connection."""


class ExecSockets:
    """The websockets of programs; whatever else is `others`'."""

    def __init__(self, others: Any) -> None:
        self._others = others

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        if not path.startswith("/v1/"):
            await self._others(scope, receive, send)
            return
        await receive()  # `websocket.connect`
        try:
            found = PATH.fullmatch(path)
            secret, user = await _caller(scope)
            if found is None:
                raise ApiError(404, f"Unknown request URL: GET {path}.", code="unknown_url")
            session = await _container(user, found[1])
        except ApiError as error:
            await _deny(scope, send, error)
            return
        offered = scope.get("subprotocols", ())
        chosen = SUBPROTOCOL if SUBPROTOCOL in offered else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        await ExecSocket(receive, send, user=user, secret=secret, session=session).run()


async def _caller(scope: Message) -> tuple[str, User]:
    """By API key alone: a page of somebody else's cannot send one along. Raises: ApiError."""
    secret = bearer(header(scope, b"authorization"))
    client = scope.get("client") or ("",)
    network = network_of(str(client[0]), header(scope, b"x-forwarded-for"))
    try:
        key = await key_of(secret, network=network) if secret else None
        if key is None or secret is None:
            message = "No API key was given that is known. Send it in a header: `Authorization: Bearer KEY`."
            raise ApiError(401, message, code="invalid_api_key")
        check_scope(key, SCOPE)
        standing = await services.request_spend(key=key)
        if standing is not None and not standing.is_allowed:
            raise services.refusal("requests", standing)
    except BerthError as error:
        raise from_berth(error) from error
    return secret, key.user


async def _container(user: User, container_id: str) -> Session:
    """Raises: ApiError."""
    key = parse_id(CONTAINER, container_id)
    if key is not None:
        with suppress(NotFoundError):
            return await selectors.container_get(owner=user, session_id=key)
    raise not_found(f"Container with id '{container_id}' not found.")


async def _deny(scope: Message, send: Send, error: ApiError) -> None:
    """An answer in place of the upgrade, in the API's shape where the server can send one."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": CLOSE_REFUSED})
        return
    answer = error.to_response()
    headers = [(b"content-type", b"application/json")]
    await send(
        {"type": "websocket.http.response.start", "status": error.status, "headers": headers}
    )
    await send({"type": "websocket.http.response.body", "body": answer.content})


class ExecSocket:
    """One accepted connection, to its end."""

    def __init__(
        self, receive: Receive, send: Send, *, user: User, secret: str, session: Session
    ) -> None:
        self._receive = receive
        self._send_message = send
        self._user = user
        self._secret = secret
        self._session = session
        self._changed = asyncio.Event()
        self._viewer = ShellViewer(secrets.token_hex(16), user.get_username(), self._changed.set)
        self._typed = 0
        self._limit = 0
        self._may_type: bool | None = None
        self._ends_with_us = False
        self._checked_at = time.monotonic()

    async def run(self) -> None:
        try:
            await self._run()
        except _LeftError:
            return
        except ApiError as error:
            await self._refuse(error)
        except BerthError as error:
            await self._refuse(from_berth(error))
        except Exception:
            logger.exception("session %s: a program's terminal failed", self._session.id)
            await self._close(CLOSE_FAILED)

    async def _run(self) -> None:
        async with asyncio.timeout(FIRST_FRAME_S):
            kind, fields = await self._text_frame()
        offset: int | None
        if kind == "start":
            row, offset = await self._start(validated(StartTerminal, fields)), 0
        elif kind == "attach":
            row, offset = await self._found(validated(AttachTerminal, fields))
        else:
            raise _bad("The first frame is `start` or `attach`.", "type")
        self._ends_with_us = (
            kind == "start" and not TerminalRequest.from_json(row.request).is_detached
        )
        shell = runtime().shells.live(row)
        try:
            await self._follow(shell, offset)
        finally:
            shell.leave(self._viewer)
            if self._ends_with_us and shell.ending is None and not shell.is_elsewhere:
                await carried(runtime().shells.close_shell(row))
            runtime().shells.forget_if_unused(shell)

    async def _start(self, asked: StartTerminal) -> Shell:
        """Raises: ApiError, BerthError."""
        size = services.shell_size(asked.columns, asked.rows)
        request = self._request(asked)
        stop = StopSignal()
        starting = asyncio.create_task(self._open(size, request, stop))
        leaving = asyncio.create_task(self._wait_for_leaving())
        try:
            await asyncio.wait((starting, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                stop.set(Stopped())
                leaving.result()
            return await starting
        finally:
            leaving.cancel()
            starting.cancel()
            await asyncio.gather(leaving, starting, return_exceptions=True)

    def _request(self, asked: StartTerminal) -> TerminalRequest:
        is_shell = asked.command is None
        checked = asked.model_copy(update={"command": "true"}) if is_shell else asked
        spec = spec_of(self._session, checked)
        return TerminalRequest(
            argv=spec.argv,
            text="" if is_shell else spec.text,
            cwd=spec.cwd,
            env=spec.env,
            timeout_s=spec.timeout_s if asked.timeout_ms is not None else None,
            is_detached=asked.detach,
        )

    async def _open(self, size: TerminalSize, request: TerminalRequest, stop: StopSignal) -> Shell:
        process = runtime()
        await process.sandboxes.connect(self._session)
        await process.setups.ensure(self._session, stop)
        await services.session_touch(session=self._session)
        return await process.shells.open(
            session=self._session,
            user=self._user,
            size=size,
            viewer=self._viewer.token,
            request=request,
        )

    async def _wait_for_leaving(self) -> None:
        """Raises: _LeftError; ApiError for what nobody asked for yet."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise _LeftError
        raise _bad("Wait for the `started` frame.", "type")

    async def _found(self, asked: AttachTerminal) -> tuple[Shell, int | None]:
        """Raises: ApiError."""
        rows = Shell.objects.filter(session=self._session, shell_id=asked.exec_id)
        row = await rows.select_related("session").afirst()
        if row is None or not row.request:
            raise not_found(f"There is no terminal '{asked.exec_id}' here.", param="exec_id")
        return row, asked.offset

    # Both directions

    async def _follow(self, shell: LiveShell, offset: int | None) -> None:
        await shell.loaded.wait()
        if offset is not None and offset > shell.ring.end:
            raise _bad("So much was never printed.", "offset")
        feed = await shell.enter(self._viewer, offset, is_new=True)
        if not shell.keyboard.holder:
            await shell.take_keyboard(self._viewer)
        await self._started(shell, feed)
        telling = asyncio.create_task(self._tell_all(shell, feed))
        hearing = asyncio.create_task(self._hear_all(shell))
        try:
            await asyncio.wait((telling, hearing), return_when=asyncio.FIRST_COMPLETED)
            for task in (telling, hearing):
                if task.done():
                    task.result()
        finally:
            for task in (telling, hearing):
                task.cancel()
            await asyncio.gather(telling, hearing, return_exceptions=True)

    async def _started(self, shell: LiveShell, feed: ShellFeed) -> None:
        self._limit = shell.typed.limit - shell.typed.end
        begin = feed.begin
        await self._tell(
            "started",
            exec={
                "id": shell.row.shell_id,
                "object": "container.exec",
                "container_id": format_id(CONTAINER, self._session.id),
                "columns": begin.size.columns,
                "rows": begin.size.rows,
                "detach": TerminalRequest.from_json(shell.row.request).is_detached,
                "live_url": live_url(self._session),
            },
            offset=begin.offset,
            input_limit=self._limit,
        )
        if begin.prelude:
            await self._tell("prelude", bytes=len(begin.prelude))
            await self._send_message({"type": "websocket.send", "bytes": begin.prelude})

    async def _tell_all(self, shell: LiveShell, feed: ShellFeed) -> None:
        """What the terminal shows, at the program's pace, to its end."""
        while True:
            self._changed.clear()
            await self._check()
            await self._tell_news(shell)
            if shell.is_elsewhere:
                await self._close(CLOSE_ELSEWHERE)
                return
            item = await feed.next()
            if isinstance(item, Piece):
                await self._send_message({"type": "websocket.send", "bytes": item.data})
            elif isinstance(item, Gap):
                await self._tell("gap", bytes=item.length, offset=item.start.offset)
                if item.start.prelude:
                    await self._tell("prelude", bytes=len(item.start.prelude))
                    await self._send_message(
                        {"type": "websocket.send", "bytes": item.start.prelude}
                    )
            elif isinstance(item, TerminalSize):
                await self._tell("size", columns=item.columns, rows=item.rows)
            elif shell.ending is not None and feed.offset >= shell.ring.end:
                await self._tell_exit(shell)
                return
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_S):
                        await self._changed.wait()

    async def _tell_news(self, shell: LiveShell) -> None:
        may_type = shell.may_type(self._viewer)
        if self._may_type not in (None, may_type):
            await self._tell("keyboard", is_mine=may_type, user=shell.keyboard.user)
        self._may_type = may_type
        limit = self._typed + shell.typed.limit - shell.typed.end
        if limit - self._limit >= CREDIT_STEP_BYTES:
            self._limit = limit
            await self._tell("input", limit=limit)

    async def _tell_exit(self, shell: LiveShell) -> None:
        assert shell.ending is not None
        ending = shell.ending.to_json()
        await self._tell(
            "exit",
            outcome=outcome_of(ending),
            ending=ending,
            reason=shell.reason,
            bytes=shell.ring.end,
        )
        await self._close(CLOSE_DONE)

    async def _hear_all(self, shell: LiveShell) -> None:
        """Raises: _LeftError when the program leaves, ApiError for what makes no sense."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                raise _LeftError
            if message.get("bytes") is not None:
                self._type(shell, bytes(message["bytes"]))
                continue
            kind, fields = _parsed(message.get("text") or "")
            match kind:
                case "resize":
                    resize = validated(ResizeTerminal, fields)
                    shell.resize(self._viewer, services.shell_size(resize.columns, resize.rows))
                case "signal":
                    await self._signal(shell, validated(SignalTerminal, fields).name)
                case "eof":
                    self._key(shell, END_OF_INPUT)
                case "take":
                    await shell.take_keyboard(self._viewer)
                case "detach":
                    await services.shell_detach(shell=shell.row)
                    self._ends_with_us = False
                    await self._close(CLOSE_DONE)
                    raise _LeftError
                case "ping":
                    await self._tell("pong")
                case _:
                    raise _bad(f"There is no frame of the type {kind[:40]!r}.", "type")

    def _type(self, shell: LiveShell, data: bytes) -> None:
        """What is typed without the keyboard is dropped: it may just have been lost."""
        if self._typed + len(data) > self._limit:
            raise _bad("More was typed than `input_limit` allows.", "input")
        self._typed += len(data)
        self._key(shell, data)

    def _key(self, shell: LiveShell, data: bytes) -> None:
        try:
            shell.type(self._viewer, shell.typed.end, data)
        except InvalidInputError as error:
            raise _bad("More was typed than the terminal takes.", "input") from error

    async def _signal(self, shell: LiveShell, name: str) -> None:
        """A terminal's own, as its keys send them; or the end of all that runs in it."""
        if name == "KILL":
            await shell.stop()
        elif name in CONTROL_KEYS:
            self._key(shell, CONTROL_KEYS[name])
        else:
            raise _bad(f"Signals are {', '.join(CONTROL_KEYS)} and KILL.", "name")

    async def _check(self) -> None:
        """Whether the key and the container are still there. Raises: ApiError."""
        if time.monotonic() - self._checked_at < CHECK_S:
            return
        self._checked_at = time.monotonic()
        key = await services.api_key_find(secret=self._secret)
        if key is None or key.user_id != self._user.pk or not key.allows(SCOPE):
            raise ApiError(401, "The API key has been revoked.", code="invalid_api_key")
        await _container(key.user, format_id(CONTAINER, self._session.id))

    # Frames

    async def _text_frame(self) -> tuple[str, dict[str, Any]]:
        """Raises: _LeftError, ApiError."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise _LeftError
        return _parsed(message.get("text") or "")

    async def _tell(self, kind: str, **fields: Any) -> None:
        text = json.dumps({"type": kind, **fields}, separators=(",", ":"))
        await self._send_message({"type": "websocket.send", "text": text})

    async def _refuse(self, error: ApiError) -> None:
        await self._tell(
            "error",
            error={
                "message": error.message,
                "type": error.type,
                "param": error.param,
                "code": error.code,
            },
        )
        await self._close(CLOSE_REFUSED)

    async def _close(self, code: int) -> None:
        await self._send_message({"type": "websocket.close", "code": code})


def _parsed(text: str) -> tuple[str, dict[str, Any]]:
    """Raises: ApiError."""
    if len(text) > MAX_FRAME_BYTES:
        raise _bad("The frame is too long.", "type")
    fields = parsed_json(text.encode("utf-8", "replace"))
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise _bad("A text frame is a JSON object with a `type`.", "type")
    return fields["type"], fields


def _bad(message: str, param: str) -> ApiError:
    return ApiError(400, message, param=param, code="invalid_value")
