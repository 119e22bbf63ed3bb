"""Follows one shell in its container to its end, over as many channels as that takes."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from django.db import DatabaseError

from sessions import services
from sessions.errors import (
    ContainerLostError,
    LeaseLostError,
    NotFoundError,
    SandboxError,
    SandboxUnavailableError,
)
from sessions.events.types import Ending
from sessions.models import Session, Shell
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.shell_command import TerminalRequest, shell_request
from sessions.runtime.shell_input import ShellInput
from sessions.runtime.shell_record import ShellRecord
from sessions.runtime.shell_ring import RING_BYTES, ShellRing
from sessions.sandbox.base import Exec, ExecEnded, ExecOutput, TerminalSize
from sessions.sandbox.setup import Setup

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 0.25
MAX_RETRY_S = 5.0
NUDGE_S = 0.1
NUDGE_EVERY_S = 2.0


class ShellFollower:
    """`on_output` and `on_change` are called after the ring grew, and when a channel came or went.

    `follow` may be cancelled: the shell goes on, and the next follower with it.
    """

    def __init__(
        self,
        row: Shell,
        sandboxes: Sandboxes,
        ring: ShellRing,
        record: ShellRecord,
        typed: ShellInput,
        *,
        on_output: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self._row = row
        self._sandboxes = sandboxes
        self._ring = ring
        self._record = record
        self._typed = typed
        self._on_output = on_output
        self._on_change = on_change
        self._exec: Exec | None = None
        self._is_stopping = False
        self._ack_due = asyncio.Event()
        self._acked = 0
        self._size_due = asyncio.Event()
        self._nudged_at = -NUDGE_EVERY_S
        self.reason = ""
        """Why the shell ended, where its ending does not say."""

    @property
    def is_attached(self) -> bool:
        return self._exec is not None

    async def follow(self) -> Ending:
        """Raises: NotFoundError when the session is gone, LeaseLostError when another process has
        taken the shell up."""
        async with asyncio.TaskGroup() as helpers:
            works = (self._typed.pump(), self._ack_stored(), self._pass_sizes_on())
            tasks = [helpers.create_task(work) for work in works]
            try:
                return await self._follow()
            finally:
                for task in tasks:
                    task.cancel()

    async def _follow(self) -> Ending:
        wait_s = FIRST_RETRY_S
        while True:
            try:
                exec_ = await self._attach()
                wait_s = FIRST_RETRY_S
                return await self._read(exec_)
            except ContainerLostError:
                return Ending("container_lost")
            except (SandboxUnavailableError, DatabaseError) as error:
                logger.info("session %s: %s: %s", self._row.session_id, self._row.shell_id, error)
            except SandboxError as error:
                # The guest refuses: it remembers the shell no longer, or cannot start it.
                logger.warning(
                    "session %s: %s: %s", self._row.session_id, self._row.shell_id, error
                )
                self.reason = error.message
                return Ending("container_lost")
            finally:
                self._exec = None
                self._typed.detached()
                self._on_change()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, MAX_RETRY_S)

    async def _attach(self) -> Exec:
        rows = Session.objects.filter(id=self._row.session_id, deletion_requested_at=None)
        session = await rows.afirst()
        if session is None:
            raise NotFoundError("The session is gone.")
        lease = self._sandboxes.lease
        if not await services.shell_is_held(shell=self._row, lease=lease):
            raise LeaseLostError(f"Another process holds {self._row.shell_id}.")
        sandbox = await self._sandboxes.reconnect(session, self._row.container_id)
        program = await self._sandboxes.shell(session)
        exec_ = await sandbox.exec(
            shell_request(
                self._row.shell_id,
                program,
                self._ring.size,
                self._ring.end,
                request=TerminalRequest.from_json(self._row.request),
                setup=Setup.from_json(session.setup),
            )
        )
        self._typed.attached(exec_, await exec_.stdin_offset())
        self._exec = exec_
        if self._is_stopping:
            await exec_.stop()
        self._size_due.set()
        self._on_change()
        return exec_

    async def _read(self, exec_: Exec) -> Ending:
        async for piece in exec_:
            if isinstance(piece, ExecEnded):
                return piece.ending
            self._received(piece)
            await self._record.room()
            # Those who look take their turn before the ring has moved past them.
            await asyncio.sleep(0)
        raise SandboxUnavailableError("The shell's output broke off.")

    def _received(self, piece: ExecOutput) -> None:
        if piece.offset > self._ring.end:
            self._ring.skip_to(piece.offset)
        self._ring.append(piece.data)
        self._record.output(piece.offset, piece.data)
        if self._record.is_full:
            self._ack_due.set()
        self._on_output()

    # What the guest is told

    def ack_soon(self) -> None:
        """More is stored, or will never be."""
        self._ack_due.set()

    async def _ack_stored(self) -> None:
        while True:
            await self._ack_due.wait()
            self._ack_due.clear()
            offset = self._settled
            if self._exec is not None and offset > self._acked:
                self._acked = offset
                with contextlib.suppress(SandboxUnavailableError):
                    await self._exec.ack("pty", offset)

    @property
    def _settled(self) -> int:
        """Up to where the guest need keep nothing. Past the cap it keeps the last of it, from
        which a server that starts again has its screens."""
        stored = self._record.stored_end
        if self._record.is_full and stored == self._record.accepted_end:
            return max(stored, self._ring.end - RING_BYTES)
        return stored

    def resize_soon(self) -> None:
        self._size_due.set()

    async def _pass_sizes_on(self) -> None:
        told = self._ring.size
        while True:
            await self._size_due.wait()
            self._size_due.clear()
            size = self._ring.size
            await self._resize(size)
            if size != told:
                told = size
                await self._keep_size(size)

    async def _keep_size(self, size: TerminalSize) -> None:
        try:
            rows = Shell.objects.filter(pk=self._row.pk)
            await rows.aupdate(columns=size.columns, rows=size.rows)
        except DatabaseError:
            logger.exception("session %s: a size was not noted", self._row.session_id)

    async def _resize(self, size: TerminalSize) -> None:
        if self._exec is not None:
            with contextlib.suppress(SandboxUnavailableError):
                await self._exec.resize(size)

    async def nudge(self) -> None:
        """Have a program that owns the screen draw it again, by a change of size and back."""
        if time.monotonic() - self._nudged_at < NUDGE_EVERY_S:
            return
        self._nudged_at = time.monotonic()
        size = self._ring.size
        await self._resize(TerminalSize(size.columns, size.rows - 1 if size.rows > 1 else 2))
        await asyncio.sleep(NUDGE_S)
        await self._resize(self._ring.size)

    async def stop(self) -> None:
        """Kill all that runs in the shell, now or as soon as it is reached again."""
        self._is_stopping = True
        if self._exec is not None:
            with contextlib.suppress(SandboxUnavailableError):
                await self._exec.stop()
