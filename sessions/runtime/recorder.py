"""The one writer of a running turn: gathers events for a moment, then stores them in one go."""

import asyncio
import contextlib
import logging
import time

from django.db.models import F

from sessions.errors import LeaseLostError
from sessions.events import bus, log
from sessions.events.types import ContextCompacted, EventBody, StepEnded
from sessions.models import Session
from sessions.runtime.lastline import LastLine
from sessions.runtime.pending import MAX_PENDING_BYTES, PendingEvents

logger = logging.getLogger(__name__)

GATHER_S = 0.02
SUMMARY_EVERY_S = 1.0


class SessionRecorder:
    """agent.tools.base.Recorder over a session's log, fenced by the runner's lease, if there is one.

    Pieces of one stream (or message) that follow each other within `GATHER_S` become one event of
    at most 64 KiB. `record` waits while more than `MAX_PENDING_BYTES` are not stored yet.
    """

    def __init__(self, session: Session, lease: str | None) -> None:
        self._session = session
        self._lease = lease
        self._pending = PendingEvents()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        """Somebody waits for what there is, so that nothing more is gathered."""
        self._stored = asyncio.Condition()
        self._recorded = 0
        self._stored_count = 0
        self._error: Exception | None = None
        self._writer = asyncio.create_task(self._write_all())
        self._last_line = LastLine()
        self._summary_at = 0.0
        self._written_at = 0.0

    async def record(self, *bodies: EventBody) -> None:
        """Raises: LeaseLostError, and what else kept earlier events from being stored."""
        async with self._stored:
            await self._stored.wait_for(
                lambda: self._error is not None or self._pending.bytes < MAX_PENDING_BYTES
            )
        self._check()
        for body in bodies:
            self._pending.add(body)
            self._last_line.add(body)
        self._recorded += len(bodies)
        self._wake.set()

    async def flush(self) -> None:
        """Raises: as `record`."""
        target = self._recorded
        if self._stored_count < target:
            self._hurry.set()
        async with self._stored:
            await self._stored.wait_for(
                lambda: self._error is not None or self._stored_count >= target
            )
        self._check()

    async def aclose(self) -> None:
        """Store what is left, then stop. Raises: as `record`."""
        try:
            await self.flush()
            await self._write_summary()
        finally:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    async def _write_all(self) -> None:
        while True:
            await self._woken_or_summary_due()
            # The first event after a pause is stored at once; a busy stream is gathered.
            await self._gathered()
            self._hurry.clear()
            self._wake.clear()
            self._written_at = time.monotonic()
            batch = self._pending.take()
            target, size = self._recorded, self._pending.bytes
            try:
                if batch:
                    await log.append(self._session.id, batch, lease=self._lease)
                    await bus.notify(bus.session_topic(self._session.id))
                    await self._count_tokens(batch)
                await self._write_summary_sometimes()
            except Exception as error:
                if not isinstance(error, LeaseLostError):
                    logger.exception("session %s: events were not stored", self._session.id)
                self._error = error
            async with self._stored:
                self._stored_count = target
                self._pending.forget(size)
                self._stored.notify_all()
            if self._error is not None:
                return

    async def _gathered(self) -> None:
        rest_s = self._written_at + GATHER_S - time.monotonic()
        if rest_s <= 0:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest_s):
                await self._hurry.wait()

    async def _woken_or_summary_due(self) -> None:
        """A command that falls silent still has its last line shown."""
        due_s = None
        if self._last_line.is_new:
            due_s = max(0.0, self._summary_at + SUMMARY_EVERY_S - time.monotonic())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(due_s):
                await self._wake.wait()

    async def _count_tokens(self, batch: list[EventBody]) -> None:
        for body in batch:
            if isinstance(body, StepEnded | ContextCompacted):
                await Session.objects.filter(id=self._session.id).aupdate(
                    input_tokens=F("input_tokens") + body.input_tokens,
                    output_tokens=F("output_tokens") + body.output_tokens,
                )

    async def _write_summary_sometimes(self) -> None:
        if time.monotonic() - self._summary_at >= SUMMARY_EVERY_S:
            await self._write_summary()

    async def _write_summary(self) -> None:
        """The last line of output, as the dashboard shows it."""
        self._summary_at = time.monotonic()
        text = self._last_line.take()
        if text is not None:
            await Session.objects.filter(id=self._session.id).aupdate(last_line=text)
        await bus.notify(bus.owner_topic(self._session.owner_id))
        await bus.notify(bus.STAFF_TOPIC)
