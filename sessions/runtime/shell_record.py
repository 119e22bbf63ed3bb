"""Stores what a shell prints, up to a cap, and says how far that has come."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable

from django.db import DatabaseError

from sessions.errors import LeaseLostError, NotFoundError
from sessions.events import bus, log
from sessions.events.types import EventBody, Output, OutputDropped, ShellResized
from sessions.runtime.pending import EVENT_BYTES, MAX_PENDING_BYTES, PendingEvents
from sessions.runtime.shell_ring import ShellRing
from sessions.sandbox.base import TerminalSize

logger = logging.getLogger(__name__)

GATHER_S = 0.02
GATHER_BYTES = 128 * 1024
"""With so much waiting there is no use in waiting longer."""
INDEX_BYTES = 256 * 1024
"""How far apart the offsets are of which the place in the log is remembered."""
RETRY_S = 1.0


class ShellRecord:
    """The log of one shell. `on_stored` is called each time more of it is stored.

    Past `max_bytes` nothing more is stored; at the shell's end the ring's bytes are, with what
    was left out before them.
    """

    def __init__(
        self,
        session_id: uuid.UUID,
        shell_id: str,
        *,
        lease: str,
        max_bytes: int,
        on_stored: Callable[[], None],
    ) -> None:
        self._session_id = session_id
        self._shell_id = shell_id
        self._lease = lease
        self._budget = max_bytes
        self._on_stored = on_stored
        self._pending = PendingEvents()
        self._index: list[tuple[int, int]] = [(0, 0)]
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._idle = asyncio.Condition()
        self._writer: asyncio.Task[None] | None = None
        self.stored_end = 0
        """All output before this is in the log, or said to be left out there."""
        self.accepted_end = 0
        """All output before this is stored or about to be."""
        self.is_gone = False
        """The session was deleted, or another process holds the shell: nothing more is written."""

    @property
    def is_full(self) -> bool:
        return self._budget <= 0

    def start(self) -> None:
        self._writer = asyncio.create_task(self._write_all())

    def loaded(self, seq: int, output: Output) -> None:
        """A piece that was stored earlier."""
        self._remember(output.offset, seq - 1)
        self._budget -= len(output.content) + EVENT_BYTES
        self.stored_end = self.accepted_end = output.offset + len(output.content)

    def after(self, offset: int) -> int:
        """Number of an event before all that is stored from `offset` on."""
        return next(seq for start, seq in reversed(self._index) if start <= offset)

    def output(self, offset: int, data: bytes) -> None:
        if not self.is_full:
            self._add(Output(self._shell_id, "pty", offset, data))
            self.accepted_end = offset + len(data)

    def resized(self, offset: int, size: TerminalSize) -> None:
        if not self.is_full:
            self._add(ShellResized(self._shell_id, offset, size.columns, size.rows))

    def _add(self, body: EventBody) -> None:
        self._budget -= len(body.data)
        self._pending.add(body)
        self._wake.set()
        if self._pending.bytes >= GATHER_BYTES:
            self._hurry.set()

    async def room(self) -> None:
        """Wait until little enough is waiting to be stored."""
        if self._pending.bytes < MAX_PENDING_BYTES:
            return
        async with self._idle:
            await self._idle.wait_for(
                lambda: self._pending.bytes < MAX_PENDING_BYTES or self.is_gone
            )

    async def finish(self, ring: ShellRing) -> None:
        """Store what is left, and the ring's end where the cap had been reached."""
        if ring.end > self.accepted_end:
            start = max(ring.start, self.accepted_end)
            if start > self.accepted_end:
                length = start - self.accepted_end
                self._add(OutputDropped(self._shell_id, "pty", self.accepted_end, length))
            while start < ring.end:
                data = ring.read(start, 64 * 1024)
                self._add(Output(self._shell_id, "pty", start, data))
                start += len(data)
            self.accepted_end = ring.end
        await self.flush()

    async def flush(self) -> None:
        async with self._idle:
            await self._idle.wait_for(lambda: not self._pending.bytes or self.is_gone)

    async def aclose(self) -> None:
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    async def _write_all(self) -> None:
        while not self.is_gone:
            await self._wake.wait()
            # A moment for more to come, and for those who look to be served first.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._hurry.wait()
            self._wake.clear()
            self._hurry.clear()
            size = self._pending.bytes
            await self._write(self._pending.take())
            async with self._idle:
                self._pending.forget(size)
                self._idle.notify_all()
            self._on_stored()

    async def _write(self, batch: list[EventBody]) -> None:
        """Until it is stored: what a database refuses now it takes later."""
        while batch:
            started_at = time.monotonic()
            try:
                held = (self._shell_id, self._lease)
                last = await log.append(self._session_id, batch, shell=held)
            except (NotFoundError, LeaseLostError):
                self.is_gone = True
                return
            except DatabaseError:
                logger.exception("session %s: %s is not stored", self._session_id, self._shell_id)
                await asyncio.sleep(max(0.0, started_at + RETRY_S - time.monotonic()))
                continue
            self._stored(batch, last)
            await bus.notify(bus.session_topic(self._session_id))
            return

    def _stored(self, batch: list[EventBody], last: int) -> None:
        self._budget -= EVENT_BYTES * len(batch)
        for seq, body in enumerate(batch, last - len(batch) + 1):
            if isinstance(body, Output):
                self._remember(body.offset, seq - 1)
                self.stored_end = body.offset + len(body.content)
            elif isinstance(body, OutputDropped):
                self.stored_end = body.offset + body.length

    def _remember(self, offset: int, seq: int) -> None:
        if offset - self._index[-1][0] >= INDEX_BYTES:
            self._index.append((offset, seq))
