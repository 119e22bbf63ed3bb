"""The sandboxes this process talks to: one live channel per session, opened when asked for."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from django.utils import timezone

from sessions.errors import (
    ContainerLostError,
    NotFoundError,
    SandboxError,
    SandboxUnavailableError,
)
from sessions.events import bus, log
from sessions.events.types import ContainerState
from sessions.models import ContainerState as State
from sessions.models import Session, Turn, TurnStatus
from sessions.sandbox.base import (
    ContainerSpec,
    DuplexStream,
    ExecEnded,
    ExecRequest,
    Sandbox,
    SandboxBackend,
)
from sessions.sandbox.limits import Limits

logger = logging.getLogger(__name__)

OPEN_TRIES = 3
OPEN_WAIT_S = 1.0
SHELLS = ("/bin/bash", "/usr/bin/bash")
OpenChannel = Callable[[DuplexStream], Awaitable[Sandbox]]


def _seen(opening: asyncio.Task[Sandbox]) -> None:
    """Its error is raised to whoever waits; when all were cancelled it is nobody's."""
    if not opening.cancelled():
        opening.exception()


class Sandboxes:
    """Finds, makes and reopens. Safe to call from any number of tasks of one event loop."""

    def __init__(self, backend: SandboxBackend, open_channel: OpenChannel) -> None:
        self.backend = backend
        self._open_channel = open_channel
        self._channels: dict[uuid.UUID, Sandbox] = {}
        self._openings: dict[uuid.UUID, asyncio.Task[Sandbox]] = {}
        self._container_ids: dict[uuid.UUID, str] = {}
        self._locks: dict[uuid.UUID, asyncio.Lock] = {}
        self._shells: dict[str, str] = {}

    @asynccontextmanager
    async def _locked(self, session_id: uuid.UUID) -> AsyncIterator[None]:
        async with self._locks.setdefault(session_id, asyncio.Lock()):
            yield

    async def connect(self, session: Session) -> Sandbox:
        """A channel to the session's container, which is made when there is none.

        Cancelling a caller leaves the opening to the others and to the next one: an engine that
        was asked for a container makes it, whoever still waits for it.

        Raises: SandboxUnavailableError, ImageNotFoundError, NotFoundError for a deleted session.
        """
        opening = self._openings.get(session.id)
        if opening is None or opening.done():
            opening = asyncio.create_task(self._connect(session))
            opening.add_done_callback(_seen)
            self._openings[session.id] = opening
        return await asyncio.shield(opening)

    async def _connect(self, session: Session) -> Sandbox:
        async with self._locked(session.id):
            channel = self._channels.get(session.id)
            if channel is not None and channel.is_open:
                return channel
            row = await Session.objects.filter(id=session.id, deletion_requested_at=None).afirst()
            if row is None:
                raise NotFoundError("There is no such session.")
            if row.container_id:
                try:
                    return await self._open_patiently(row)
                except ContainerLostError as error:
                    logger.warning("session %s: %s", session.id, error.message)
                    await self._set_state(row, State.DISCONNECTED, error.message)
                    await self.backend.remove(row.container_id)
            return await self._create(row)

    async def reconnect(self, session: Session, container_id: str) -> Sandbox:
        """That very container again. Raises: ContainerLostError when it is gone."""
        async with self._locked(session.id):
            row = await Session.objects.aget(id=session.id)
            if not container_id or row.container_id != container_id:
                raise ContainerLostError("The container is gone.")
            channel = self._channels.get(session.id)
            if channel is not None and channel.is_open:
                return channel
            try:
                return await self._open(row)
            except ContainerLostError:
                if await self._is_running(container_id):
                    raise SandboxUnavailableError("The container does not answer.") from None
                raise

    async def _open_patiently(self, row: Session) -> Sandbox:
        """A container can be too busy to answer at once. Raises: ContainerLostError when it is
        gone, or runs but has not answered in `OPEN_TRIES`."""
        for _ in range(OPEN_TRIES - 1):
            try:
                return await self._open(row)
            except ContainerLostError:
                if not await self._is_running(row.container_id):
                    raise
                await asyncio.sleep(OPEN_WAIT_S)
        try:
            return await self._open(row)
        except ContainerLostError as error:
            raise ContainerLostError("The container no longer answered.") from error

    async def _is_running(self, container_id: str) -> bool:
        try:
            return (await self.backend.inspect(container_id)).is_running
        except ContainerLostError:
            return False

    def container_id(self, session: Session) -> str:
        """The container the open channel leads to, empty when there is none."""
        return self._container_ids.get(session.id, "")

    async def shell(self, session: Session) -> str:
        """The best shell the container has. Raises: as `connect`."""
        row = await Session.objects.aget(id=session.id)
        known = self._shells.get(row.container_id)
        if known is None:
            known = await self._find_shell(await self.connect(session))
            row = await Session.objects.aget(id=session.id)
            self._shells[row.container_id] = known
        return known

    async def _find_shell(self, sandbox: Sandbox) -> str:
        for path in SHELLS:
            probe = await sandbox.exec(
                ExecRequest(
                    exec_id=f"shell-{uuid.uuid4().hex}",
                    argv=(path, "-c", ":"),
                    timeout_s=10,
                    keep_log=False,
                )
            )
            async for piece in probe:
                if isinstance(piece, ExecEnded) and piece.ending.exit_code == 0:
                    return path
        return "/bin/sh"

    async def _open(self, row: Session) -> Sandbox:
        channel = await self._open_channel(await self.backend.open(row.container_id))
        await self._close(row.id)
        self._channels[row.id] = channel
        self._container_ids[row.id] = row.container_id
        if row.container_state != State.CONNECTED:
            await self._set_state(row, State.CONNECTED)
        return channel

    async def _create(self, row: Session) -> Sandbox:
        await self._set_state(row, State.PENDING)
        spec = ContainerSpec(
            session_id=str(row.id),
            image=row.image,
            workspace_volume=row.workspace_volume,
            limits=Limits.from_json(row.limits),
        )
        try:
            row.container_id = await self.backend.create(spec)
        except SandboxError as error:
            await self._set_state(row, State.FAILED, error.message)
            raise
        await Session.objects.filter(id=row.id).aupdate(
            container_id=row.container_id, container_started_at=timezone.now()
        )
        try:
            return await self._open(row)
        except SandboxError as error:
            await self._set_state(row, State.FAILED, error.message)
            raise

    async def _set_state(self, row: Session, state: State, reason: str = "") -> None:
        row.container_state = state
        await Session.objects.filter(id=row.id).aupdate(container_state=state)
        await log.append(row.id, [ContainerState(state=state, reason=reason)])
        await bus.notify(bus.session_topic(row.id))

    async def discard(
        self, session: Session, state: State, reason: str, *, even_if_busy: bool = True
    ) -> None:
        """Remove the container; the workspace stays. Raises: EngineUnavailableError."""
        async with self._locked(session.id):
            busy = Turn.objects.filter(session=session, status=TurnStatus.RUNNING)
            if not even_if_busy and await busy.aexists():
                return
            await self._close(session.id)
            row = await Session.objects.aget(id=session.id)
            if row.container_id:
                await self.backend.remove(row.container_id)
                self._shells.pop(row.container_id, None)
            await Session.objects.filter(id=row.id).aupdate(
                container_id="", container_started_at=None
            )
            await self._set_state(row, state, reason)

    async def reclaim(self, session: Session) -> None:
        """Remove container and workspace of a session that is being deleted."""
        async with self._locked(session.id):
            await self._close(session.id)
            for container in await self.backend.containers():
                if container.session_id == str(session.id):
                    await self.backend.remove(container.container_id)
                    self._shells.pop(container.container_id, None)
            await self.backend.remove_volume(session.workspace_volume)
        self._locks.pop(session.id, None)
        self._openings.pop(session.id, None)

    async def _close(self, session_id: uuid.UUID) -> None:
        self._container_ids.pop(session_id, None)
        channel = self._channels.pop(session_id, None)
        if channel is not None:
            await channel.close()

    async def close_channels(self) -> None:
        """Containers and what runs in them go on."""
        await asyncio.gather(*self._openings.values(), return_exceptions=True)
        self._openings.clear()
        for session_id in list(self._channels):
            await self._close(session_id)

    async def aclose(self) -> None:
        await self.close_channels()
        await self.backend.close()

    def open_sandbox(self, session: Session) -> Sandbox | None:
        """The open channel, for who must not open one."""
        channel = self._channels.get(session.id)
        return channel if channel is not None and channel.is_open else None
