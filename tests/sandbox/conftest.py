"""The conformance suite's fixtures: one guest and one channel to it, on each backend.

As a plain child process each test has a guest of its own. Containers take longer to start, so
those of one module share one, emptied between tests.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sessions.sandbox import names
from sessions.sandbox.base import ContainerSpec, SandboxBackend
from sessions.sandbox.channel import GuestChannel, open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.limits import MIB, Limits
from tests.sandbox.child_backend import ChildBackend
from tests.sandbox.running import run, shell

INSTALLATION = "conformance-tests"
MEMORY_BYTES = 256 * MIB


@dataclass
class Box:
    """A container under test."""

    backend: SandboxBackend
    container_id: str
    channel: GuestChannel
    extra: list[GuestChannel] = field(default_factory=list)

    async def reopen(self) -> GuestChannel:
        """A further channel to the same guest."""
        channel = await open_channel(await self.backend.open(self.container_id))
        self.extra.append(channel)
        return channel

    async def close(self) -> None:
        for channel in [*self.extra, self.channel]:
            await channel.close()

    @property
    def is_container(self) -> bool:
        return isinstance(self.backend, DockerBackend)

    @property
    def workspace(self) -> Path:
        """The workspace as a folder of the host: plain child processes only."""
        assert isinstance(self.backend, ChildBackend)
        return self.backend.guest(self.container_id).workspace


def docker_backend() -> DockerBackend:
    return DockerBackend(installation=INSTALLATION, allowed_images=(names.SLIM_IMAGE,))


def docker_spec(volume: str) -> ContainerSpec:
    limits = Limits(memory_bytes=MEMORY_BYTES, pids=200, cpus=2.0)
    return ContainerSpec("conformance", names.SLIM_IMAGE, volume, limits)


@pytest.fixture(scope="module")
def shared_containers() -> Iterator[list[str]]:
    """At most one container, made by the first test of the module that needs it."""
    made: list[str] = []
    yield made
    if made:
        asyncio.run(_remove(made[0]))


async def _remove(container_id: str) -> None:
    backend = docker_backend()
    await backend.remove(container_id)
    for volume in await backend.volumes():
        await backend.remove_volume(volume)
    await backend.close()


@pytest.fixture(params=["child", pytest.param("docker", marks=pytest.mark.docker)])
async def box(request: pytest.FixtureRequest, shared_containers: list[str]) -> AsyncIterator[Box]:
    box = await (_child_box() if request.param == "child" else _docker_box(shared_containers))
    yield box
    if box.is_container:
        cleaner = await box.reopen()
        await run(cleaner, shell("chmod -R u+rwx . ; find . -mindepth 1 -delete"))
    await box.close()
    if not box.is_container:
        await box.backend.close()


async def _child_box() -> Box:
    backend = ChildBackend()
    container_id = await backend.create(ContainerSpec("test", "child", "workspace", Limits()))
    return Box(backend, container_id, await open_channel(await backend.open(container_id)))


async def _docker_box(shared: list[str]) -> Box:
    backend = docker_backend()
    if not shared:
        shared.append(await backend.create(docker_spec("berth-conformance-workspace")))
    channel = await open_channel(await backend.open(shared[0]))
    return Box(backend, shared[0], channel)


@pytest.fixture
def sandbox(box: Box) -> GuestChannel:
    return box.channel


@pytest.fixture
async def child() -> AsyncIterator[Box]:
    """A plain child process, for what needs to look at it from outside."""
    box = await _child_box()
    yield box
    await box.close()
    await box.backend.close()


@pytest.fixture
async def full_disk() -> AsyncIterator[GuestChannel]:
    """A container whose workspace has room for 2 MiB."""
    volume = "berth-conformance-small"
    options = ("type=tmpfs", "device=tmpfs", "o=size=2m")
    words = [word for option in options for word in ("--opt", option)]
    making = await asyncio.create_subprocess_exec("docker", "volume", "create", *words, volume)
    assert await making.wait() == 0
    backend = docker_backend()
    container_id = await backend.create(docker_spec(volume))
    channel = await open_channel(await backend.open(container_id))
    yield channel
    await channel.close()
    await backend.remove(container_id)
    await backend.remove_volume(volume)
    await backend.close()
