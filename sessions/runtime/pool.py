"""Containers that wait, started and with an open channel, so that a session begins at once.

A member has no owner, no network and nothing in its workspace. Giving it away is one transaction;
what was given never comes back. Members are rows before they are containers, so that a crash at
any point leaves a container with a row, or one that `Reaper.reconcile` removes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from channels.db import database_sync_to_async
from django.db import transaction
from django.utils import timezone

from sessions.errors import BerthError, ImageNotFoundError, SandboxError
from sessions.events import log
from sessions.events.types import ContainerState
from sessions.models import ContainerState as State
from sessions.models import PooledContainer, Session
from sessions.runtime.leases import is_holder_dead
from sessions.runtime.shell_probe import find_shell
from sessions.sandbox import names
from sessions.sandbox.base import ContainerSpec, DuplexStream, Sandbox, SandboxBackend
from sessions.sandbox.limits import Limits
from sessions.sandbox.setup import Setup

logger = logging.getLogger(__name__)

PASS_S = 60.0
"""Members are looked at this often, and at every claim."""
FIRST_BACKOFF_S = 2.0
MAX_BACKOFF_S = 60.0
CANDIDATES = 16

OpenChannel = Callable[[DuplexStream], Awaitable[Sandbox]]


@dataclass(frozen=True, slots=True)
class PoolSize:
    size: int
    refill_after_s: float = 0.0
    """How long after a claim its place is filled; 0 at once."""


@dataclass(frozen=True, slots=True)
class PoolConfig:
    sizes: Mapping[str, PoolSize] = field(default_factory=dict)
    """By image."""
    limits: Limits = field(default_factory=Limits)
    """What members are created with; a claim changes them where the session has others."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A container that is the session's from now on."""

    name: str
    channel: Sandbox | None
    """None when another process kept it: it is to be opened."""
    shell: str | None


class Pool:
    """`run` keeps it filled; `claim` works in every process, with or without `run`."""

    def __init__(
        self, backend: SandboxBackend, open_channel: OpenChannel, config: PoolConfig, lease: str
    ) -> None:
        self.config = config
        self._backend = backend
        self._open_channel = open_channel
        self._lease = lease
        self._channels: dict[str, Sandbox] = {}
        self._shells: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._claimed_at: dict[str, float] = {}
        self._missing: set[str] = set()
        self._starts = 0
        self._no_starts = asyncio.Event()
        self._no_starts.set()

    # Claiming

    async def claim(self, session: Session) -> Claimed | None:
        """Give a new session a container of its image; None when there is none to give.

        A disk quota of the engine's is fixed when a container is made: one that asks for more than
        the pool's members have gets a container of its own, and so does one with mounts.
        """
        limits, ours = Limits.from_json(session.limits), self.config.limits
        is_unlike = limits.disk_bytes > ours.disk_bytes or Setup.from_json(session.setup).mounts
        if session.image not in self.config.sizes or is_unlike:
            return None
        # Until it has the session's limits it is half made: a crash must not leave it the pool's.
        state = State.PENDING if limits.differ_in_engine(ours) else State.CONNECTED
        name = await _claim(session, self._lease, state)
        if name is None:
            return None
        self._claimed_at[session.image] = asyncio.get_running_loop().time()
        self._wake.set()
        channel = self._channels.pop(name, None)
        if channel is not None and not channel.is_open:
            await channel.close()
            channel = None
        return Claimed(name, channel, self._shells.pop(name, None))

    # Filling

    async def run(self) -> None:
        """Until cancelled. An engine that is away is asked again, later each time."""
        backoff_s = FIRST_BACKOFF_S
        while True:
            self._wake.clear()
            wait_s = PASS_S
            try:
                wait_s = await self.fill()
                backoff_s = FIRST_BACKOFF_S
            except BerthError as error:
                logger.warning("the pool waits: %s", error.message)
                wait_s, backoff_s = backoff_s, min(backoff_s * 2, MAX_BACKOFF_S)
            except Exception:
                logger.exception("the pool could not be filled")
                wait_s, backoff_s = backoff_s, min(backoff_s * 2, MAX_BACKOFF_S)
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def fill(self) -> float:
        """One pass: what is of no use goes, what is missing is made. Returns the seconds after
        which the next is due. Raises: SandboxError."""
        image_ids = await self._image_ids()
        await self._sort_out(image_ids)
        wait_s = PASS_S
        for image in image_ids:
            wanted = self.config.sizes[image]
            now = asyncio.get_running_loop().time()
            due_in = self._claimed_at.get(image, -PASS_S) + wanted.refill_after_s - now
            if wanted.refill_after_s and due_in > 0:
                wait_s = min(wait_s, due_in)
                continue
            while await self._has_room(image, wanted.size):
                await self._no_starts.wait()
                if not await self._make(image, image_ids[image], wanted.size):
                    break
        return wait_s

    async def _has_room(self, image: str, size: int) -> bool:
        return await PooledContainer.objects.filter(image=image).acount() < size

    async def _sort_out(self, image_ids: Mapping[str, str]) -> None:
        """Let go of members that were claimed elsewhere; take up what a dead process left; remove
        what is broken, too many, or made of an image that has changed."""
        members = [member async for member in PooledContainer.objects.all()]
        for name in self._channels.keys() - {member.name for member in members}:
            await self._let_go(name)
        kept: dict[str, int] = {}
        for member in members:
            is_mine = member.holder == self._lease
            if not (is_mine or await is_holder_dead(member.holder, since=member.created_at)):
                is_useful = True  # another process looks after it
            else:
                is_useful = (
                    member.ready_at is not None
                    and member.image_id == image_ids.get(member.image)
                    and await self._hold(member)
                )
            wanted = self.config.sizes.get(member.image, PoolSize(0)).size
            kept[member.image] = kept.get(member.image, 0) + is_useful
            if not is_useful or kept[member.image] > wanted:
                kept[member.image] -= is_useful
                await self._discard(member)

    async def _image_ids(self) -> dict[str, str]:
        """Of the images that the pool is for and the engine has."""
        found: dict[str, str] = {}
        for image in self.config.sizes:
            try:
                found[image] = await self._backend.image_id(image)
                self._missing.discard(image)
            except ImageNotFoundError as error:
                if image not in self._missing:
                    logger.warning("nothing of %s is pooled: %s", image, error.message)
                self._missing.add(image)
        return found

    async def _hold(self, member: PooledContainer) -> bool:
        """Have a channel to it; whether it answers."""
        channel = self._channels.get(member.name)
        if channel is not None and channel.is_open:
            return True
        taken = PooledContainer.objects.filter(name=member.name, holder=member.holder)
        if not await taken.aupdate(holder=self._lease):
            return True  # claimed, or taken up by another process, this very moment
        member.holder = self._lease
        try:
            await self._open(member.name)
        except SandboxError as error:
            logger.info("pooled container %s: %s", member.name, error.message)
            return False
        return True

    async def _open(self, name: str) -> None:
        channel = await self._open_channel(await self._backend.open(name))
        await self._let_go(name)
        self._channels[name] = channel
        self._shells[name] = await find_shell(channel)

    async def _make(self, image: str, image_id: str, size: int) -> bool:
        """One more member; False when another process was first. Raises: SandboxError."""
        member = PooledContainer(
            name=names.container_name(),
            workspace_volume=names.workspace_volume_name(),
            image=image,
            image_id=image_id,
            holder=self._lease,
        )
        if not await _add(member, size):
            return False
        spec = ContainerSpec(
            session_id=names.POOL,
            image=image,
            workspace_volume=member.workspace_volume,
            limits=self.config.limits,
            name=member.name,
        )
        try:
            await self._backend.create(spec)
            await self._open(member.name)
        except SandboxError:
            await self._discard(member)
            raise
        ready = PooledContainer.objects.filter(name=member.name)
        await ready.aupdate(ready_at=timezone.now())
        return True

    async def _discard(self, member: PooledContainer) -> None:
        """Unless it was claimed this very moment. The row goes last: a crash leaves it to say
        what is to be removed. Raises: SandboxError."""
        held = PooledContainer.objects.filter(name=member.name, holder=member.holder)
        if not await held.aupdate(ready_at=None):
            return
        await self._let_go(member.name)
        await self._backend.remove(member.name)
        await self._backend.remove_volume(member.workspace_volume)
        await held.adelete()

    async def _let_go(self, name: str) -> None:
        self._shells.pop(name, None)
        channel = self._channels.pop(name, None)
        if channel is not None:
            await channel.close()

    # Others

    def start_begins(self) -> None:
        """A session waits for a cold start: nothing is made for later meanwhile."""
        self._starts += 1
        self._no_starts.clear()

    def start_ends(self) -> None:
        self._starts -= 1
        if not self._starts:
            self._no_starts.set()

    async def close_channels(self) -> None:
        """The members wait on, for the next process."""
        for name in list(self._channels):
            await self._let_go(name)


@database_sync_to_async
def _claim(session: Session, lease: str, state: State) -> str | None:
    """The name of the session's container. The row, the session and its log change together."""
    ready = PooledContainer.objects.filter(image=session.image, ready_at__isnull=False)
    mine = list(ready.filter(holder=lease)[:CANDIDATES])
    for member in mine or list(ready.exclude(holder=lease)[:CANDIDATES]):
        with transaction.atomic():
            if not PooledContainer.objects.filter(
                name=member.name, ready_at__isnull=False
            ).delete()[0]:
                continue
            new = Session.objects.filter(
                id=session.id, deletion_requested_at=None, container_id="", workspace_volume=""
            )
            if not new.update(
                container_id=member.name,
                workspace_volume=member.workspace_volume,
                container_state=state,
                container_holder=lease,
                container_started_at=timezone.now(),
                last_active_at=timezone.now(),
            ):
                transaction.set_rollback(True)
                return None
            log.append_now(session.id, [ContainerState(state=state)])
        return member.name
    return None


@database_sync_to_async
def _add(member: PooledContainer, size: int) -> bool:
    with transaction.atomic():
        others = PooledContainer.objects.select_for_update().filter(image=member.image)
        if len(others) >= size:
            return False
        member.save(force_insert=True)
    return True
