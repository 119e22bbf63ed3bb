"""One guest and one channel to it, on each backend."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sessions.sandbox.base import ContainerSpec, SandboxBackend
from sessions.sandbox.channel import GuestChannel, open_channel
from sessions.sandbox.limits import Limits
from tests.sandbox.child_backend import ChildBackend


@dataclass
class Box:
    """A container under test."""

    backend: SandboxBackend
    container_id: str
    channel: GuestChannel

    async def reopen(self) -> GuestChannel:
        """A second channel to the same guest."""
        return await open_channel(await self.backend.open(self.container_id))

    @property
    def workspace(self) -> Path:
        """The workspace as a folder of the host: plain child processes only."""
        assert isinstance(self.backend, ChildBackend)
        return self.backend.guest(self.container_id).workspace


@pytest.fixture
async def backend() -> AsyncIterator[SandboxBackend]:
    backend = ChildBackend()
    yield backend
    await backend.close()


@pytest.fixture
async def box(backend: SandboxBackend) -> AsyncIterator[Box]:
    spec = ContainerSpec("test", "child", "test-workspace", Limits())
    container_id = await backend.create(spec)
    channel = await open_channel(await backend.open(container_id))
    yield Box(backend, container_id, channel)
    await channel.close()


@pytest.fixture
def sandbox(box: Box) -> GuestChannel:
    return box.channel
