"""The websockets: one session's log as it grows, and the news that a list of sessions changed.

A consumer owns one sender task. It reads the log at the client's pace: what is in flight beyond
the client's last acknowledgement is bounded, so a client that does not read costs nothing.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from dataclasses import replace
from typing import Any

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import User
from typing_extensions import override

from sessions import selectors
from sessions.errors import InvalidInputError, NotFoundError
from sessions.events import bus
from sessions.events.follow import follow
from sessions.events.types import Output, StoredEvent
from sessions.streaming.access import SESSION_CHECK_S, USER_CHECK_S, SessionAccess, current_user
from sessions.streaming.folders import FolderTeller
from sessions.streaming.protocol import (
    CLOSE_BAD_FRAME,
    CLOSE_FAILED,
    CLOSE_NOT_FOUND,
    CLOSE_NOT_SIGNED_IN,
    Ack,
    Follow,
    Frame,
    WatchFolders,
    dump_json,
    encode_batch,
    parse_client_frame,
)
from sessions.streaming.window import SendWindow

logger = logging.getLogger(__name__)

LIST_INTERVAL_S = 0.5
"""A list is told of changes at most this often."""


class OwnedTaskConsumer(AsyncWebsocketConsumer):
    """Accepts, then closes with a number a browser can read; ends its task with the socket."""

    _task: asyncio.Task[None] | None = None

    @override
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Without a channel, which nobody sends to: Channels makes two tasks for every message."""
        self.scope = scope
        self.base_send = send
        with contextlib.suppress(StopConsumer):
            while True:
                await self.dispatch(await receive())

    @override
    async def dispatch(self, message: Any) -> None:
        """Frames go straight on. Channels first has the one thread that uses the database look for
        old connections: for a key in a terminal, longer than its way to the shell and back."""
        if message["type"] == "websocket.receive":
            await self.websocket_receive(message)
        else:
            await super().dispatch(message)

    async def refuse(self, code: int) -> None:
        await self.accept()
        await self.close(code)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self.send_all()
        except NotFoundError:
            await self.close(CLOSE_NOT_FOUND)
        except PermissionError:
            await self.close(CLOSE_NOT_SIGNED_IN)
        except InvalidInputError as error:
            logger.info("%s: closing: %s", self.scope["path"], error)
            await self.close(CLOSE_BAD_FRAME)
        except Exception:  # top of a task: logged, and the client comes back by itself
            logger.exception("%s: the sender failed", self.scope["path"])
            await self.close(CLOSE_FAILED)

    async def send_all(self) -> None:
        raise NotImplementedError

    async def end_task(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @override
    async def disconnect(self, code: int) -> None:
        await self.end_task()


class SessionConsumer(OwnedTaskConsumer):
    """One viewer of one session."""

    _access: SessionAccess
    _follow: Follow
    _window: SendWindow
    _folders: FolderTeller | None = None
    _is_open = False

    @override
    async def connect(self) -> None:
        session_id: uuid.UUID = self.scope["url_route"]["kwargs"]["session_id"]
        user = await current_user(self.scope)
        if user is None:
            await self.refuse(CLOSE_NOT_SIGNED_IN)
            return
        try:
            session = await selectors.session_get(user=user, session_id=session_id)
        except NotFoundError:
            await self.refuse(CLOSE_NOT_FOUND)
            return
        self._access = SessionAccess(self.scope, user, session)
        self._window = SendWindow()
        self._folders = FolderTeller(session_id, self._send_fields)
        self._is_open = True
        await self.accept()

    @override
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self._is_open:
            return
        try:
            await self._received(text_data)
        except InvalidInputError as error:
            logger.info("session %s: bad frame: %s", self._access.session_id, error)
            self._is_open = False
            await self.end_task()
            await self.close(CLOSE_BAD_FRAME)

    async def _received(self, text: str | None) -> None:
        match parse_client_frame(text):
            case Follow() as wanted:
                if self._task is not None:
                    raise InvalidInputError("This socket follows already.")
                self._follow = wanted
                self.start()
            case Ack(seq):
                if self._task is None:
                    raise InvalidInputError("Nothing was sent yet.")
                self._window.acknowledge(seq)
            case WatchFolders(folders):
                if self._task is None or self._folders is None:
                    raise InvalidInputError("This socket does not follow yet.")
                await self._folders.watch(folders)

    @override
    async def end_task(self) -> None:
        if self._folders is not None:
            await self._folders.close()
        await super().end_task()

    @override
    async def send_all(self) -> None:
        session = self._access.session
        if self._follow.after > session.last_seq:
            raise InvalidInputError("The cursor is ahead of the log.")
        hello = {**selectors.session_json(session), "can_write": True}
        await self._send_json(
            type="hello", session=hello, last_seq=session.last_seq, now=int(time.time() * 1000)
        )
        shown = selectors.session_json(session)
        replay_to: int | None = session.last_seq
        seq = self._follow.after
        async for batch in follow(session.id, after=seq):
            for frame in encode_batch(self._wanted(batch)):
                await self._send_when_there_is_room(frame)
            if batch:
                seq = batch[-1].seq
            elif replay_to is not None:
                replay_to = None
                await self._send_json(type="caught_up", seq=seq)
            if await self._access.refresh() and shown != selectors.session_json(
                self._access.session
            ):
                shown = selectors.session_json(self._access.session)
                await self._send_json(type="session", session=shown)

    def _wanted(self, batch: list[StoredEvent]) -> list[StoredEvent]:
        call_id = self._follow.call_id
        if not call_id:
            return [_without_shell_output(event) for event in batch]
        return [event for event in batch if getattr(event.body, "call_id", "") == call_id]

    async def _send_when_there_is_room(self, frame: Frame) -> None:
        while not self._window.has_room(frame.size):
            await self._window.wait_for_change(SESSION_CHECK_S)
            await self._access.refresh()
        # Counted first: the acknowledgement may arrive before `send` returns.
        self._window.sent(frame.last_seq, frame.size)
        if isinstance(frame.content, str):
            await self.send(text_data=frame.content)
        else:
            await self.send(bytes_data=frame.content)

    async def _send_json(self, **fields: Any) -> None:
        await self._send_fields(fields)

    async def _send_fields(self, fields: dict[str, Any]) -> None:
        await self.send(text_data=dump_json(fields))


def _without_shell_output(event: StoredEvent) -> StoredEvent:
    """A shell's bytes go to those who look at it, by a socket of its own. The event keeps its
    place, so that a viewer sees that none is missing."""
    body = event.body
    if isinstance(body, Output) and body.stream == "pty":
        return replace(event, body=replace(body, content=b""))
    return event


class SessionListConsumer(OwnedTaskConsumer):
    """Tells a dashboard that its list changed; it then fetches the rows."""

    _user: User

    @override
    async def connect(self) -> None:
        user = await current_user(self.scope)
        if user is None:
            await self.refuse(CLOSE_NOT_SIGNED_IN)
            return
        self._user = user
        await self.accept()
        self.start()

    @override
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.end_task()
        await self.close(CLOSE_BAD_FRAME)

    @override
    async def send_all(self) -> None:
        topic = bus.STAFF_TOPIC if self._user.is_staff else bus.owner_topic(self._user.pk)
        async with bus.listen(topic) as waiter:
            while True:
                if await waiter.wait(USER_CHECK_S):
                    await self.send(text_data='{"type":"changed"}')
                    await asyncio.sleep(LIST_INTERVAL_S)
                elif await current_user(self.scope) is None:
                    raise PermissionError("The user is not signed in any more.")
