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

from sessions import services
from sessions.agent.limits import TurnStopped
from sessions.agent.stop import StopSignal
from sessions.api.errors import ApiError, from_berth, not_found
from sessions.api.exec_access import check_still, container_for, deny, key_of_program
from sessions.api.exec_frames import (
    AttachTerminal,
    ResizeTerminal,
    SignalTerminal,
    StartTerminal,
    bad,
    parsed,
)
from sessions.api.execs import outcome_of, spec_of
from sessions.api.validation import validated
from sessions.errors import BerthError, InvalidInputError
from sessions.models import ApiKey, Session, Shell
from sessions.responses.ids import CONTAINER, format_id
from sessions.responses.resource import live_url
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
CLOSE_DONE = 1000
CLOSE_FAILED = 1011
CLOSE_REFUSED = 4400
"""An `error` frame before it says why."""
CLOSE_ELSEWHERE = 4409
FIRST_FRAME_S = 30.0
CHECK_S = 15.0
"""How often the key and the session are looked at again."""
CREDIT_STEP_BYTES = 64 * 1024
CONTROL_KEYS = {"INT": b"\x03", "QUIT": b"\x1c", "TSTP": b"\x1a"}
END_OF_INPUT = b"\x04"


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
            key = await key_of_program(scope)
            if found is None:
                raise ApiError(404, f"Unknown request URL: GET {path}.", code="unknown_url")
            session = await container_for(key, found[1])
        except ApiError as error:
            await deny(scope, send, error, close_code=CLOSE_REFUSED)
            return
        offered = scope.get("subprotocols", ())
        chosen = SUBPROTOCOL if SUBPROTOCOL in offered else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        await ExecSocket(receive, send, key=key, session=session).run()


class ExecSocket:
    """One accepted connection, to its end."""

    def __init__(self, receive: Receive, send: Send, *, key: ApiKey, session: Session) -> None:
        self._receive = receive
        self._send_message = send
        self._key_of_program = key
        self._session = session
        self._changed = asyncio.Event()
        self._viewer = ShellViewer(
            secrets.token_hex(16), key.user.get_username(), self._changed.set
        )
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
        try:
            async with asyncio.timeout(FIRST_FRAME_S):
                kind, fields = await self._text_frame()
        except TimeoutError:
            raise bad("No first frame came.", "type") from None
        offset: int | None
        if kind == "start":
            row, offset = await self._start(validated(StartTerminal, fields)), 0
        elif kind == "attach":
            row, offset = await self._found(validated(AttachTerminal, fields))
        else:
            raise bad("The first frame is `start` or `attach`.", "type")
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
            if leaving.done():
                leaving.result()
            return starting.result()
        except BaseException:
            # Not in the middle: a shell that has come by then would be nobody's.
            stop.set(TurnStopped())
            await carried(_give_up(starting))
            raise
        finally:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)

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
            user=self._key_of_program.user,
            size=size,
            viewer=self._viewer.token,
            request=request,
        )

    async def _wait_for_leaving(self) -> None:
        """Raises: _LeftError; ApiError for what nobody asked for yet."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise _LeftError
        raise bad("Wait for the `started` frame.", "type")

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
            raise bad("So much was never printed.", "offset")
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
                "live_url": live_url(self._session.id),
            },
            offset=begin.offset,
            input_limit=self._limit,
        )
        await self._tell_prelude(begin.prelude)

    async def _tell_prelude(self, prelude: bytes) -> None:
        if prelude:
            await self._tell("prelude", bytes=len(prelude))
            await self._send_message({"type": "websocket.send", "bytes": prelude})

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
                await self._tell_prelude(item.start.prelude)
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
            kind, fields = parsed(message.get("text") or "")
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
                    raise bad(f"There is no frame of the type {kind[:40]!r}.", "type")

    def _type(self, shell: LiveShell, data: bytes) -> None:
        """What is typed without the keyboard is dropped: it may just have been lost."""
        if self._typed + len(data) > self._limit:
            raise bad("More was typed than `input_limit` allows.", "input")
        self._typed += len(data)
        self._key(shell, data)

    def _key(self, shell: LiveShell, data: bytes) -> None:
        try:
            shell.type(self._viewer, shell.typed.end, data)
        except InvalidInputError as error:
            raise bad("More was typed than the terminal takes.", "input") from error

    async def _signal(self, shell: LiveShell, name: str) -> None:
        """A terminal's own, as its keys send them; or the end of all that runs in it."""
        if name == "KILL":
            await shell.stop()
        elif name in CONTROL_KEYS:
            self._key(shell, CONTROL_KEYS[name])
        else:
            raise bad(f"Signals are {', '.join(CONTROL_KEYS)} and KILL.", "name")

    async def _check(self) -> None:
        """Whether the key and the container are still there. Raises: ApiError."""
        if time.monotonic() - self._checked_at < CHECK_S:
            return
        self._checked_at = time.monotonic()
        name = format_id(CONTAINER, self._session.id)
        await check_still(self._key_of_program, name)

    # Frames

    async def _text_frame(self) -> tuple[str, dict[str, Any]]:
        """Raises: _LeftError, ApiError."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise _LeftError
        return parsed(message.get("text") or "")

    async def _tell(self, kind: str, **fields: Any) -> None:
        text = json.dumps({"type": kind, **fields}, separators=(",", ":"))
        await self._send_message({"type": "websocket.send", "text": text})

    async def _refuse(self, error: ApiError) -> None:
        await self._tell("error", error=error.to_json())
        await self._close(CLOSE_REFUSED)

    async def _close(self, code: int) -> None:
        await self._send_message({"type": "websocket.close", "code": code})


async def _give_up(starting: asyncio.Task[Shell]) -> None:
    """End the shell that it makes, if it still does."""
    await asyncio.wait((starting,))
    if not starting.cancelled() and starting.exception() is None:
        await runtime().shells.close_shell(starting.result())
