"""The terminals that people have open, as far as this process looks after them."""

import asyncio
import contextlib
import datetime as dt
import logging
import uuid

from django.contrib.auth.models import User
from django.utils import timezone

from sessions import services
from sessions.errors import ConflictError
from sessions.events.types import Ending
from sessions.models import Session, Shell
from sessions.runtime.leases import is_holder_dead
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.shell_command import PERSONS, TerminalRequest
from sessions.runtime.shell_live import LiveShell
from sessions.runtime.shell_resources import ShellResources
from sessions.sandbox.base import TerminalSize

logger = logging.getLogger(__name__)

END_TIMEOUT_S = 5.0


class Shells:
    """Built once per process. A shell is followed from when it is opened, or first looked at,
    until it has ended and nobody looks."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes
        self._live: dict[str, LiveShell] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._resources = ShellResources(sandboxes)
        sandboxes.before_discard = self.end_all

    async def open(
        self,
        *,
        session: Session,
        user: User,
        size: TerminalSize,
        viewer: str = "",
        request: TerminalRequest = PERSONS,
    ) -> Shell:
        """A shell of the user's in the session's container, which is made when there is none.
        `viewer` is the page that opens it, as of services.shell_create; `request` what a program
        wants to run in it.

        Raises: SandboxError, its subclasses; ConflictError when too many are open, or the
        container went away meanwhile.
        """
        await self._sandboxes.connect(session)
        await self._sandboxes.shell(session)
        container_id = self._sandboxes.container_id(session)
        if not container_id:
            raise ConflictError("The container went away just now. Try again.")
        row = await services.shell_create(
            session=session,
            user=user,
            container_id=container_id,
            size=size,
            viewer=viewer,
            lease=self._sandboxes.lease,
            request=request.to_json(),
        )
        row.session = session
        self.live(row)
        return row

    def live(self, row: Shell) -> LiveShell:
        """The shell of this row, whose session is loaded, to be looked at. Another process that
        followed it lets go of it: pages of one session belong to one process."""
        found = self._live.get(row.shell_id)
        if found is None:
            found = self._live[row.shell_id] = LiveShell(row, self._sandboxes)
            task = asyncio.create_task(found.run())
            self._tasks[row.shell_id] = task
            task.add_done_callback(lambda _: self._is_over(found))
            if row.ended_at is None:
                self._resources.begin(row.session)
        return found

    def _is_over(self, shell: LiveShell) -> None:
        self.forget_if_unused(shell)
        session_id = shell.row.session_id
        others = [one for one in self._live.values() if one.row.session_id == session_id]
        if all(one.over.is_set() for one in others):
            self._resources.end(session_id)

    def forget_if_unused(self, shell: LiveShell) -> None:
        """Of a shell that has ended only the log is kept, once nobody looks at it."""
        if not shell.over.is_set() or self._live.get(shell.row.shell_id) is not shell:
            return
        if shell.is_elsewhere or not shell.viewers:
            self._live.pop(shell.row.shell_id, None)
            self._tasks.pop(shell.row.shell_id, None)

    async def resume(self) -> None:
        """Go on with what nobody looks after any more."""
        rows = Shell.objects.filter(ended_at=None, session__deletion_requested_at=None)
        others = rows.exclude(holder=self._sandboxes.lease)
        async for row in others.select_related("session"):
            if not row.holder or await is_holder_dead(row.holder, since=row.opened_at):
                self.live(row)
                request = TerminalRequest.from_json(row.request)
                if request.is_programs and not request.is_detached:
                    await self._end(self.live(row), "Its program was cut off with the server.")

    async def close_shell(self, row: Shell) -> None:
        """Kill all that runs in the shell; a shell that has ended stays as it is."""
        if row.ended_at is None:
            await self._end(self.live(row), "")

    async def end_all(self, session_id: uuid.UUID, reason: str) -> None:
        """End every shell of the session, as before its container is taken away on purpose."""
        rows = Shell.objects.filter(session=session_id, ended_at=None).select_related("session")
        shells = [self.live(row) async for row in rows]
        await asyncio.gather(*(self._end(shell, reason) for shell in shells))

    async def _end(self, shell: LiveShell, reason: str) -> None:
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await shell.loaded.wait()
                await shell.stop(reason)
                await shell.over.wait()
        except TimeoutError:
            # Nobody answers in the container. It is killed there as soon as somebody does.
            logger.warning("session %s: a shell was ended unheard", shell.row.session_id)
            await services.shell_end(
                shell=shell.row,
                ending=Ending("stopped"),
                pty_bytes=shell.ring.end,
                reason=reason,
            )

    def last_activity_at(self, session_id: uuid.UUID) -> dt.datetime | None:
        """When somebody typed into a shell of the session, or one printed; None without any that
        is open."""
        times = [
            shell.last_activity_at
            for shell in self._live.values()
            if shell.row.session_id == session_id and shell.ending is None
        ]
        return max(times, default=None)

    def is_busy(self, session_id: uuid.UUID, *, within_s: float) -> bool:
        """Whether a terminal of the session was used, or printed, within the last seconds."""
        last = self.last_activity_at(session_id)
        return last is not None and timezone.now() - last < dt.timedelta(seconds=within_s)

    async def aclose(self) -> None:
        """Let go of all shells, which go on."""
        await self._resources.aclose()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        self._live.clear()
        self._tasks.clear()
