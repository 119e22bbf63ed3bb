"""The websocket of one shell: what it prints at the client's pace, and what the client types.

A page is sent at most `WINDOW_BYTES` that it has not acknowledged. It holds nobody up: the shell
goes on, and the page catches up from the log.
"""

import asyncio
import logging
import uuid
from typing import Any

from typing_extensions import override

from sessions import selectors
from sessions.errors import InvalidInputError, NotFoundError
from sessions.runtime.shell_feed import FeedItem, Piece, ShellFeed
from sessions.runtime.shell_live import LiveShell, ShellViewer
from sessions.runtime.wiring import runtime
from sessions.sandbox.base import TerminalSize
from sessions.streaming.access import SESSION_CHECK_S, SessionAccess, current_user
from sessions.streaming.consumers import OwnedTaskConsumer
from sessions.streaming.protocol import (
    CLOSE_BAD_FRAME,
    CLOSE_ELSEWHERE,
    CLOSE_NOT_FOUND,
    CLOSE_NOT_SIGNED_IN,
)
from sessions.streaming.shell_protocol import (
    Acked,
    Attach,
    Ping,
    Resize,
    Take,
    Typed,
    output_frame,
    parse_client_frame,
    start_to_json,
    text_frame,
)
from sessions.streaming.window import WINDOW_BYTES

logger = logging.getLogger(__name__)

CREDIT_STEP_BYTES = 64 * 1024
"""A client that types ahead is told of its new limit when it has moved by so much."""


class ShellConsumer(OwnedTaskConsumer):
    """One page that looks at one shell."""

    _access: SessionAccess
    _shell: LiveShell
    _attach: Attach
    _feed: ShellFeed | None = None
    _viewer: ShellViewer | None = None
    _is_open = False

    @override
    async def connect(self) -> None:
        ids: dict[str, Any] = self.scope["url_route"]["kwargs"]
        session_id: uuid.UUID = ids["session_id"]
        user = await current_user(self.scope)
        if user is None:
            await self.refuse(CLOSE_NOT_SIGNED_IN)
            return
        try:
            row = await selectors.shell_get(
                user=user, session_id=session_id, shell_id=ids["shell_id"]
            )
        except NotFoundError:
            await self.refuse(CLOSE_NOT_FOUND)
            return
        self._user_name = user.get_username()
        self._access = SessionAccess(self.scope, user, row.session)
        self._changed = asyncio.Event()
        self._acked = 0
        self._state_told: tuple[object, ...] | None = None
        self._is_end_told = False
        self._limit_told = 0
        self._shell = runtime().shells.live(row)
        self._is_open = True
        await self.accept()

    @override
    async def disconnect(self, code: int) -> None:
        await super().disconnect(code)
        self._is_open = False
        if self._viewer is not None:
            self._shell.leave(self._viewer)
            runtime().shells.forget_if_unused(self._shell)

    # What the client says

    @override
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self._is_open:
            return
        try:
            await self._received(text_data, bytes_data)
        except InvalidInputError as error:
            logger.info("session %s: bad frame: %s", self._access.session_id, error)
            self._is_open = False
            await self.end_task()
            await self.close(CLOSE_BAD_FRAME)

    async def _received(self, text: str | None, data: bytes | None) -> None:
        frame = parse_client_frame(text, data)
        if isinstance(frame, Attach):
            if self._task is not None:
                raise InvalidInputError("This socket looks already.")
            self._attach = frame
            self.start()
            return
        if self._viewer is None or self._feed is None:
            # Only what was sent before the greeting can come here; nothing of it is meant.
            return
        match frame:
            case Typed(offset, data):
                self._shell.type(self._viewer, offset, data)
            case Acked(offset):
                self._acknowledge(self._feed, offset)
            case Resize(size):
                self._shell.resize(self._viewer, size)
            case Take():
                await self._shell.take_keyboard(self._viewer)
            case Ping():
                await self.send(text_data=text_frame("pong"))

    def _acknowledge(self, feed: ShellFeed, offset: int) -> None:
        if offset > feed.offset:
            raise InvalidInputError("Acknowledged what was not sent.")
        self._acked = max(self._acked, offset)
        self._changed.set()

    # What the client is told

    @override
    async def send_all(self) -> None:
        self._viewer = viewer = ShellViewer(
            self._attach.viewer, self._user_name, self._changed.set
        )
        self._feed = feed = await self._shell.enter(
            viewer, self._attach.offset, is_new=self._attach.is_new
        )
        self._acked = feed.offset
        await self.send(
            text_data=text_frame(
                "hello",
                shell=self._shell.row.to_json(),
                start=start_to_json(feed.begin),
                # What comes before it was answered already, if it asked for anything.
                end=self._shell.ring.end,
            )
        )
        while True:
            self._changed.clear()
            await self._access.refresh()
            await self._send_news(viewer)
            if self._shell.is_elsewhere:
                await self.close(CLOSE_ELSEWHERE)
                return
            has_room = feed.offset - self._acked < WINDOW_BYTES
            item = await feed.next() if has_room else None
            if item is not None:
                await self._send_item(item)
            else:
                await self._send_ending(feed)
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(SESSION_CHECK_S):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _send_item(self, item: FeedItem) -> None:
        if isinstance(item, Piece):
            await self.send(bytes_data=output_frame(item.offset, item.data))
        elif isinstance(item, TerminalSize):
            await self.send(text_data=text_frame("size", columns=item.columns, rows=item.rows))
        else:
            # What is left out was never in flight.
            self._acked += item.length
            start = start_to_json(item.start)
            await self.send(text_data=text_frame("gap", length=item.length, start=start))

    async def _send_news(self, viewer: ShellViewer) -> None:
        """Who types, whether it reaches the shell, and how far one may type ahead."""
        shell = self._shell
        typed = shell.typed
        keyboard = shell.keyboard
        is_mine = shell.may_type(viewer)
        state = (keyboard.holder, keyboard.user, is_mine, shell.is_attached)
        if state != self._state_told:
            self._state_told = state
            frame = text_frame(
                "keyboard",
                viewer=keyboard.holder,
                user=keyboard.user,
                is_mine=is_mine,
                is_attached=shell.is_attached,
                # Where the page goes on: what is before it needs no repetition.
                offset=typed.end,
                limit=typed.limit,
            )
        elif is_mine and typed.limit - self._limit_told >= CREDIT_STEP_BYTES:
            frame = text_frame("credit", offset=typed.sent, limit=typed.limit)
        else:
            return
        self._limit_told = typed.limit
        await self.send(text_data=frame)

    async def _send_ending(self, feed: ShellFeed) -> None:
        """How it ended, once all that it printed was sent."""
        shell = self._shell
        is_due = shell.ending is not None and feed.offset >= shell.ring.end
        if is_due and not self._is_end_told:
            assert shell.ending is not None
            self._is_end_told = True
            ending = shell.ending.to_json()
            await self.send(text_data=text_frame("ended", ending=ending, reason=shell.reason))
