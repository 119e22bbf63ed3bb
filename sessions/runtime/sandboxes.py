"""The sandboxes this process talks to: one live channel per session, opened when asked for.

Each step is noted in the session's row before it is taken (container_rows.py).
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from django.utils import timezone

from sessions.errors import (
    ConflictError,
    ContainerLostError,
    EngineUnavailableError,
    ImageNotFoundError,
    ProtocolError,
    SandboxError,
    SandboxUnavailableError,
)
from sessions.events import bus
from sessions.models import ContainerState as State
from sessions.models import Session
from sessions.runtime import container_rows as rows
from sessions.runtime.archives import Archives
from sessions.runtime.leases import lease_name
from sessions.runtime.pool import Claimed, OpenChannel, Pool, PoolConfig
from sessions.runtime.shell_probe import find_shell
from sessions.runtime.skills import bring_skills
from sessions.sandbox import names
from sessions.sandbox.base import ContainerSpec, Sandbox, SandboxBackend
from sessions.sandbox.limits import Limits
from sessions.sandbox.setup import Mount, MountSource, Setup

logger = logging.getLogger(__name__)

OPEN_PATIENCE_S = 60.0
"""A container that runs is given up after so long without an answer: a machine that is out of
memory or processor time answers late, and giving up ends whatever runs in it."""
OPEN_WAIT_S = 1.0
OTHERS_POLL_S = 0.2
OTHERS_WAIT_S = 60.0
"""How long a caller waits for a container that another process is making."""
STARTED_AGAIN = "The container was started again on the same files."
RESTORED = "The archived files were restored, and the container was started again."


def _seen(opening: asyncio.Task[Sandbox]) -> None:
    """Its error is raised to whoever waits; when all were cancelled it is nobody's."""
    if not opening.cancelled():
        opening.exception()


class Sandboxes:
    """Finds, makes and reopens. Safe to call from any number of tasks of one event loop."""

    def __init__(
        self,
        backend: SandboxBackend,
        open_channel: OpenChannel,
        *,
        archives: Archives,
        pool: PoolConfig | None = None,
        mounts: Mapping[str, MountSource] | None = None,
        lease: str = "",
    ) -> None:
        self.backend = backend
        self.archives = archives
        self.mounts = mounts or {}
        """What the administrator named, and sessions may ask for."""
        self.lease = lease or lease_name()
        self.pool = Pool(backend, open_channel, pool or PoolConfig(), self.lease)
        self._open_channel = open_channel
        self._channels: dict[uuid.UUID, Sandbox] = {}
        self._openings: dict[uuid.UUID, asyncio.Task[Sandbox]] = {}
        self._container_ids: dict[uuid.UUID, str] = {}
        self._locks: dict[uuid.UUID, asyncio.Lock] = {}
        self._shells: dict[str, str] = {}
        self.before_discard: Callable[[uuid.UUID, str], Awaitable[None]] | None = None
        """Told, session and reason, before a container is taken away on purpose."""

    @asynccontextmanager
    async def _locked(self, session_id: uuid.UUID) -> AsyncIterator[None]:
        async with self._locks.setdefault(session_id, asyncio.Lock()):
            yield

    async def connect(self, session: Session) -> Sandbox:
        """A channel to the session's container, which is made when there is none.

        Cancelling a caller leaves the opening to the others and to the next one: an engine that
        was asked for a container makes it, whoever still waits for it.

        A new session takes one from the pool; an archived workspace is restored first.

        Raises: SandboxUnavailableError, ImageNotFoundError, NotFoundError for a deleted session,
        ConflictError for one that never has a container.
        """
        if session.is_chat:
            raise ConflictError("This session has no container: a program runs the tools itself.")
        channel = self.channel_now(session.id)
        if channel is not None:
            return channel
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
            deadline = asyncio.get_running_loop().time() + OTHERS_WAIT_S
            while asyncio.get_running_loop().time() < deadline:
                try:
                    return await self._find_or_make(await rows.row_of(session.id))
                except rows.TakenError:
                    await asyncio.sleep(OTHERS_POLL_S)
            raise SandboxUnavailableError("The container is being made elsewhere. Try again.")

    async def _find_or_make(self, row: Session) -> Sandbox:
        """Raises: rows.TakenError when another process is at it."""
        if await rows.is_being_made(row, lease=self.lease):
            raise rows.TakenError
        if row.container_id and row.container_state in (State.PENDING, State.FAILED):
            await self.backend.remove(row.container_id)  # half made, so nothing ran in it yet
        elif row.container_id:
            try:
                return await self._open_patiently(row)
            except ContainerLostError as error:
                logger.warning("session %s: %s", row.id, error.message)
                await rows.set_state(row, State.DISCONNECTED, error.message)
                await self.backend.remove(row.container_id)
        if row.archived_at is not None:
            return await self._restore(row)
        if not row.workspace_volume:
            claimed = await self.pool.claim(row)
            if claimed is not None:
                return await self._take(row, claimed)
        had_rested = row.container_state == State.SUSPENDED
        return await self._create(row, STARTED_AGAIN if had_rested else "")

    async def reconnect(self, session: Session, container_id: str) -> Sandbox:
        """That very container again. Raises: ContainerLostError when it is gone."""
        channel = self.channel_now(session.id)
        if channel is not None and self._container_ids.get(session.id) == container_id:
            return channel  # whoever takes the container away may be waiting for it
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

    async def _open_patiently(self, row: Session, reason: str = "") -> Sandbox:
        """A container can be too busy to answer at once, or its channel breaks while it is opened,
        as when the engine is killed. Raises: ContainerLostError when it is gone, has not answered
        in `OPEN_PATIENCE_S`, or answers what no guest of ours would; EngineUnavailableError."""
        deadline = asyncio.get_running_loop().time() + OPEN_PATIENCE_S
        while True:
            try:
                return await self._open(row, reason)
            except EngineUnavailableError:
                raise
            except ProtocolError as error:
                raise ContainerLostError(error.message) from error
            except SandboxUnavailableError as error:
                if not await self._is_running(row.container_id):
                    raise ContainerLostError(error.message) from error
                if asyncio.get_running_loop().time() > deadline:
                    raise ContainerLostError("The container no longer answered.") from error
            await asyncio.sleep(OPEN_WAIT_S)

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
            known = await find_shell(await self.connect(session))
            row = await Session.objects.aget(id=session.id)
            self._shells[row.container_id] = known
        return known

    async def _open(self, row: Session, reason: str = "") -> Sandbox:
        channel = await self._open_channel(await self.backend.open(row.container_id))
        await self._register(row, channel, reason)
        return channel

    async def _register(self, row: Session, channel: Sandbox, reason: str = "") -> None:
        """Nobody gets the channel before the container has what the session is to find in it."""
        try:
            await bring_skills(row.id, row.container_id, channel)
        except BaseException:
            await channel.close()
            raise
        await self._close(row.id)
        self._channels[row.id] = channel
        self._container_ids[row.id] = row.container_id
        if row.container_state != State.CONNECTED:
            await rows.set_state(row, State.CONNECTED, reason)

    async def _take(self, row: Session, claimed: Claimed) -> Sandbox:
        """Make a pooled container the session's own."""
        await row.arefresh_from_db()
        limits = Limits.from_json(row.limits)
        try:
            if limits.differ_in_engine(self.pool.config.limits):
                await self.backend.set_limits(row.container_id, limits)
            channel = claimed.channel
            if channel is None:
                channel = await self._open_channel(await self.backend.open(row.container_id))
            await channel.set_limits(disk_bytes=limits.disk_bytes)
        except SandboxError as error:
            if claimed.channel is not None:
                await claimed.channel.close()
            if isinstance(error, EngineUnavailableError):
                raise
            logger.warning("session %s: its pooled container: %s", row.id, error.message)
            await self.backend.remove(row.container_id)
            return await self._create(row)
        if claimed.shell is not None:
            self._shells[row.container_id] = claimed.shell
        await self._register(row, channel)
        await bus.notify(bus.session_topic(row.id))
        return channel

    async def _create(self, row: Session, reason: str = "") -> Sandbox:
        """Raises: SandboxError, rows.TakenError."""
        volume = row.workspace_volume or names.workspace_volume_name(str(row.id))
        await rows.begin(row, volume=volume, lease=self.lease)
        self.pool.start_begins()
        try:
            await self.backend.create(self._spec(row))
            channel = await self._open_patiently(row, reason)
        except SandboxError as error:
            await self._failed(row, error)
            raise
        finally:
            self.pool.start_ends()
        return channel

    def _spec(self, row: Session, *, has_mounts: bool = True) -> ContainerSpec:
        """Raises: SandboxError."""
        return ContainerSpec(
            session_id=str(row.id),
            image=row.image,
            workspace_volume=row.workspace_volume,
            limits=Limits.from_json(row.limits),
            name=row.container_id,
            mounts=self._mounts(row) if has_mounts else (),
        )

    def _mounts(self, row: Session) -> tuple[Mount, ...]:
        found: list[Mount] = []
        for wanted in Setup.from_json(row.setup).mounts:
            source = self.mounts.get(wanted.name)
            if source is None:
                raise SandboxError(f"The mount {wanted.name!r} is not offered here any more.")
            found.append(Mount(source, wanted.path))
        return tuple(found)

    async def _failed(self, row: Session, error: SandboxError) -> None:
        await rows.set_state(row, State.FAILED, error.message)
        if isinstance(error, ImageNotFoundError):
            await Session.objects.filter(id=row.id, container_id=row.container_id).aupdate(
                container_id=""
            )

    async def _restore(self, row: Session) -> Sandbox:
        """Put the archive's files into a volume of their own; the archive goes when all are there.

        Raises: SandboxError, rows.TakenError.
        """
        left_behind = row.workspace_volume
        volume = names.workspace_volume_name(str(row.id))
        await rows.begin(row, volume=volume, lease=self.lease)
        if left_behind:
            await self.backend.remove_volume(left_behind)  # of a restoring that was cut
        try:
            await self.backend.create(self._spec(row))
            channel = await self._open_channel(await self.backend.open(row.container_id))
            try:
                await self.archives.restore(row.id, channel, size=row.archive_bytes)
            except BaseException:
                await channel.close()
                raise
        except SandboxError as error:
            await self.backend.remove(row.container_id)
            await self.backend.remove_volume(row.workspace_volume)
            await rows.forget(row, State.EXPIRED, error.message, workspace_volume="")
            raise
        await Session.objects.filter(id=row.id).aupdate(archived_at=None, archive_bytes=0)
        await self._register(row, channel, RESTORED)
        await self.archives.forget(row.id)
        return channel

    async def suspend(self, session: Session, reason: str) -> None:
        """Remove the container of a session that rests, unless something began since `session` was
        read; the workspace stays. Its shells are told why before.

        The row lets go of the container first: whoever comes then makes another one, and the reaper
        removes what is left when this process ends in between. Raises: SandboxError.
        """
        async with self._locked(session.id):
            row = await Session.objects.aget(id=session.id)
            if not row.container_id or await rows.is_busy(row, seen=session):
                return
            if self.before_discard is not None:
                await self.before_discard(session.id, reason)
            container_id = row.container_id
            # Who comes now waits for the lock instead of using this channel.
            channel = self._channels.pop(session.id, None)
            if not await rows.let_go(row, seen=session, reason=reason):
                if channel is not None:
                    self._channels[session.id] = channel
                return
            self._container_ids.pop(session.id, None)
            self._shells.pop(container_id, None)
            if channel is not None:
                await channel.close()
            await self.backend.remove(container_id)

    async def drop_stale(self, session: Session) -> None:
        """Close the channel to a container that another process has taken away."""
        known = self._container_ids.get(session.id)
        if known is None:
            return
        row = await Session.objects.only("container_id").aget(id=session.id)
        if row.container_id != known:
            async with self._locked(session.id):
                await self._close(session.id)

    async def discard(self, session: Session, state: State, reason: str) -> None:
        """Remove the container; the workspace stays. Its shells are told why before.

        One that cannot be removed now is never used again: whoever comes next removes it.
        Raises: SandboxError.
        """
        async with self._locked(session.id):
            row = await Session.objects.aget(id=session.id)
            if row.container_id and self.before_discard is not None:
                await self.before_discard(session.id, reason)
            await self._close(session.id)
            if row.container_id:
                try:
                    await self.backend.remove(row.container_id)
                except SandboxError:
                    await rows.set_state(row, State.FAILED, reason)
                    raise
                self._shells.pop(row.container_id, None)
            await rows.forget(row, state, reason)

    async def archive(self, session: Session) -> None:
        """Turn a suspended session's workspace into an archive and remove its volume.

        Crash-safe at every step: until the row says `archived_at` the volume is the truth, and
        from then on the archive is. Raises: SandboxError, ConflictError when it is in use.
        """
        async with self._locked(session.id):
            row = await rows.row_of(session.id)
            if (
                row.container_id
                or not row.workspace_volume
                or await rows.is_busy(row, seen=session)
            ):
                raise ConflictError("The session is in use.")
            volume = row.workspace_volume
            try:
                await rows.begin(row, volume=volume, lease=self.lease)
            except rows.TakenError:
                raise ConflictError("The session is in use.") from None
            try:
                size = await self._write_archive(row)
            except SandboxError as error:
                await self.backend.remove(row.container_id)
                await rows.forget(row, State.SUSPENDED, error.message)
                raise
            reason = "Unused for long, so its files were archived. The next use restores them."
            if not await rows.forget(
                row,
                State.EXPIRED,
                reason,
                workspace_volume="",
                archived_at=timezone.now(),
                archive_bytes=size,
            ):
                raise ConflictError("Another process took the session up meanwhile.")
            await self.backend.remove_volume(volume)

    async def _write_archive(self, row: Session) -> int:
        await self.backend.create(self._spec(row, has_mounts=False))
        channel = await self._open_channel(await self.backend.open(row.container_id))
        try:
            size = await self.archives.write(row.id, channel)
        finally:
            await channel.close()
        await self.backend.remove(row.container_id)
        return size

    async def is_in_hand(self, row: Session) -> bool:
        """Whether somebody is at work on its container, here or in another living process."""
        lock = self._locks.get(row.id)
        if lock is not None and lock.locked():
            return True
        return await rows.is_being_made(row, lease=self.lease)

    async def put_right(self, seen: Session) -> None:
        """End what a crash interrupted: the container goes, the files stay where they are whole.

        Raises: SandboxError, NotFoundError.
        """
        async with self._locked(seen.id):
            row = await rows.row_of(seen.id)
            if (
                row.container_id != seen.container_id
                or row.container_state != seen.container_state
            ):
                return
            if await rows.is_busy(row, seen=seen):
                return
            if row.container_state == State.CONNECTED and await self._is_running(row.container_id):
                return  # made after whoever saw it missing had looked
            await self._close(row.id)
            await self.backend.remove(row.container_id)
            if row.archived_at is None:
                reason = "The container is gone; files are kept."
                await rows.forget(row, State.SUSPENDED, reason)
                return
            if row.workspace_volume:
                await self.backend.remove_volume(row.workspace_volume)
            reason = "Restoring its files was interrupted; the archive is still there."
            await rows.forget(row, State.EXPIRED, reason, workspace_volume="")

    async def reclaim(self, session: Session) -> None:
        """Remove container and workspace of a session that is being deleted."""
        async with self._locked(session.id):
            await self._close(session.id)
            row = await Session.objects.aget(id=session.id)
            if row.container_id:
                await self.backend.remove(row.container_id)
                self._shells.pop(row.container_id, None)
            if row.workspace_volume:
                await self.backend.remove_volume(row.workspace_volume)
            await self.archives.forget(session.id)
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
        await self.pool.close_channels()

    async def aclose(self) -> None:
        await self.close_channels()
        await self.backend.close()

    def channel_now(self, session_id: uuid.UUID) -> Sandbox | None:
        """The open channel, if there is one: nothing is made, opened or woken."""
        channel = self._channels.get(session_id)
        return channel if channel is not None and channel.is_open else None

    def open_sessions(self) -> list[uuid.UUID]:
        """Those to whose container a channel is open here."""
        return [session_id for session_id, channel in self._channels.items() if channel.is_open]
