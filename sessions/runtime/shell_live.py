"""One shell of a person's: who looks, who types, and what it has shown."""

import asyncio
import datetime as dt
import logging
import secrets
from collections.abc import Callable

from django.utils import timezone

from sessions import services
from sessions.errors import LeaseLostError, NotFoundError
from sessions.events import log
from sessions.events.types import Ending, Output, OutputDropped, ShellResized
from sessions.models import Shell
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.shell_feed import ShellFeed
from sessions.runtime.shell_follow import ShellFollower
from sessions.runtime.shell_input import ShellInput
from sessions.runtime.shell_keyboard import Keyboard
from sessions.runtime.shell_record import ShellRecord
from sessions.runtime.shell_ring import ShellRing, Start
from sessions.sandbox.base import TerminalSize
from sessions.sandbox.limits import Limits

logger = logging.getLogger(__name__)


class ShellViewer:
    """A page that looks at a shell. `wake` is called when there is news for it."""

    def __init__(self, token: str, user: str, wake: Callable[[], None]) -> None:
        self.token = token
        """Chosen by the page and known to it alone; survives its reload."""
        self.user = user
        self.wake = wake
        self.name = ""
        """By which the others know the page."""


class LiveShell:
    """`run` looks after it until it has ended; cancelled, it leaves the shell running.

    Of a shell that has ended `run` reads what is stored, to be looked at.
    """

    def __init__(self, row: Shell, sandboxes: Sandboxes) -> None:
        self.row = row
        self._lease = sandboxes.lease
        self.ring = ShellRing(TerminalSize(row.columns, row.rows))
        self.record = ShellRecord(
            row.session_id,
            row.shell_id,
            lease=sandboxes.lease,
            max_bytes=Limits.from_json(row.session.limits).max_output_bytes,
            on_stored=self._on_stored,
        )
        self.typed = ShellInput(self.wake_all)
        self.keyboard = Keyboard(
            row.opener_name, last_user=row.writer_name, last_viewer=row.writer_viewer
        )
        self._follower = ShellFollower(
            row,
            sandboxes,
            self.ring,
            self.record,
            self.typed,
            on_output=self._on_output,
            on_change=self.wake_all,
        )
        self._nudging: asyncio.Task[None] | None = None
        self._stop_reason = ""
        self.viewers: set[ShellViewer] = set()
        self.ending: Ending | None = None
        self.last_activity_at: dt.datetime = row.opened_at
        self.is_elsewhere = False
        """Another process has taken it up: it goes on there, and is over here."""
        self.loaded = asyncio.Event()
        self.over = asyncio.Event()

    @property
    def is_attached(self) -> bool:
        """Whether what is typed reaches the shell right now."""
        return self._follower.is_attached

    @property
    def reason(self) -> str:
        return self._stop_reason or self._follower.reason

    # Looking

    async def enter(self, viewer: ShellViewer, offset: int | None, *, is_new: bool) -> ShellFeed:
        """Let a page look, from byte `offset` on or, with None, on an empty screen.

        `is_new` says of a page that it was just opened, rather than cut off and back.
        """
        await self.loaded.wait()
        viewer.name = services.viewer_name(self.row.shell_id, viewer.token)
        for other in self.viewers:
            if other.name == viewer.name:
                # The page's former socket, or a duplicate of the page: not the same any more.
                other.name = services.viewer_name(self.row.shell_id, secrets.token_hex(16))
                other.wake()
        self.viewers.add(viewer)
        held_by = self.keyboard.holder
        if self.ending is None and self.keyboard.came(viewer.name, viewer.user, is_new=is_new):
            await self._writer_changed(viewer, held_by)
        start = self.ring.begin() if offset is None else Start(offset, self.ring.size_at(offset))
        if start.prelude and self.ring.is_alternate:
            self._nudging = asyncio.create_task(self._follower.nudge())
        return ShellFeed(self.row.session_id, self.row.shell_id, self.ring, self.record, start)

    def leave(self, viewer: ShellViewer) -> None:
        self.viewers.discard(viewer)
        if self.keyboard.left(viewer.name):
            self.wake_all()

    def wake_all(self) -> None:
        for viewer in self.viewers:
            viewer.wake()

    # Typing

    def may_type(self, viewer: ShellViewer) -> bool:
        return self.ending is None and self.keyboard.holder == viewer.name

    def type(self, viewer: ShellViewer, offset: int, data: bytes) -> None:
        """What a page without the keyboard types is dropped: it may just have lost it.

        Raises: InvalidInputError for input out of place.
        """
        if self.may_type(viewer):
            self.typed.accept(offset, data)
            self.last_activity_at = timezone.now()

    async def take_keyboard(self, viewer: ShellViewer) -> None:
        held_by = self.keyboard.holder
        if self.ending is None:
            self.keyboard.take(viewer.name, viewer.user)
            await self._writer_changed(viewer, held_by)

    async def _writer_changed(self, viewer: ShellViewer, held_by: str) -> None:
        if viewer.name == held_by:
            return
        self.wake_all()
        await services.shell_set_writer(shell=self.row, user_name=viewer.user, viewer=viewer.name)

    def resize(self, viewer: ShellViewer, size: TerminalSize) -> None:
        """The screen has the size that the page with the keyboard has room for."""
        if not self.may_type(viewer) or size == self.ring.size:
            return
        self.ring.resize(size)
        self.record.resized(self.ring.end, size)
        self._follower.resize_soon()
        self.wake_all()

    # Its life

    async def run(self) -> None:
        """Raises nothing but cancellation: what fails ends the shell, and is logged."""
        try:
            await services.shell_take(shell=self.row, lease=self._lease)
            await self._load()
            if self.ending is None:
                self.record.start()
                self.loaded.set()
                await self._end(await self._follower.follow())
        except* NotFoundError:
            logger.info("session %s: gone, with %s", self.row.session_id, self.row.shell_id)
            self.ending = Ending("container_lost")
        except* LeaseLostError:
            self.is_elsewhere = True
        except* Exception:
            logger.exception("session %s: %s failed", self.row.session_id, self.row.shell_id)
            self.ending = Ending("container_lost")
        finally:
            await self.record.aclose()
            self.loaded.set()
            self.over.set()
            self.wake_all()

    async def _load(self) -> None:
        """What is stored of it: a screen, and the shell itself, go on from there."""
        seq = 0
        while batch := await log.read_shell(self.row.session_id, self.row.shell_id, after=seq):
            seq = batch[-1].seq
            for event in batch:
                body = event.body
                if isinstance(body, Output):
                    if body.offset > self.ring.end:
                        self.ring.skip_to(body.offset)
                    self.ring.append(body.content)
                    self.record.loaded(event.seq, body)
                elif isinstance(body, OutputDropped):
                    self.ring.skip_to(body.offset + body.length)
                elif isinstance(body, ShellResized):
                    self.ring.resize(TerminalSize(body.columns, body.rows), body.offset)
        if self.row.ending is not None:
            self.ending = Ending.from_json(self.row.ending)

    def _on_output(self) -> None:
        self.last_activity_at = timezone.now()
        self.wake_all()

    def _on_stored(self) -> None:
        self._follower.ack_soon()
        self.wake_all()

    async def _end(self, ending: Ending) -> None:
        await self.record.finish(self.ring)
        await services.shell_end(
            shell=self.row, ending=ending, pty_bytes=self.ring.end, reason=self.reason
        )
        self.ending = ending

    async def stop(self, reason: str = "") -> None:
        """Kill all that runs in it. It has ended when `over` is set."""
        self._stop_reason = reason
        await self._follower.stop()
