"""A container that is gone is a `ContainerLostError`, in whatever way it went."""

import asyncio

import pytest

from sessions.errors import ContainerLostError, ContainerPausedError, SandboxUnavailableError
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.docker_client import AsyncDocker
from tests.docker.conftest import Connect, Spec, output_of

pytestmark = pytest.mark.docker


async def test_opening_a_stopped_container_is_lost(
    backend: DockerBackend, docker: AsyncDocker, spec: Spec
) -> None:
    container = await backend.create(spec())
    await docker.call(lambda api: api.kill(container))
    with pytest.raises(ContainerLostError):
        await backend.open(container)
    info = await backend.inspect(container)
    assert not info.is_running
    assert info.exit_code == 137


async def test_a_paused_container_is_not_lost(
    backend: DockerBackend, docker: AsyncDocker, spec: Spec
) -> None:
    container = await backend.create(spec())
    await docker.call(lambda api: api.pause(container))
    with pytest.raises(ContainerPausedError):
        await backend.open(container)
    assert (await backend.inspect(container)).is_running
    assert [one.is_running for one in await backend.containers()] == [True]
    await docker.call(lambda api: api.unpause(container))
    await (await backend.open(container)).close()


async def test_what_never_existed_is_lost(backend: DockerBackend) -> None:
    for verb in (backend.open, backend.inspect):
        with pytest.raises(ContainerLostError):
            await verb("0" * 64)


async def test_another_installations_container_is_none_of_ours(
    backend: DockerBackend, spec: Spec
) -> None:
    container = await backend.create(spec())
    stranger = DockerBackend(installation="test-somebody-else")
    with pytest.raises(ContainerLostError):
        await stranger.inspect(container)
    await stranger.close()


async def test_a_container_killed_midway_ends_the_stream(
    connect: Connect, backend: DockerBackend, docker: AsyncDocker, spec: Spec
) -> None:
    container = await backend.create(spec())
    sandbox = await connect(container)
    running = asyncio.create_task(output_of(sandbox, "sleep", "60"))
    await asyncio.sleep(0.3)
    await docker.call(lambda api: api.kill(container))
    with pytest.raises(SandboxUnavailableError):
        async with asyncio.timeout(10):
            await running
