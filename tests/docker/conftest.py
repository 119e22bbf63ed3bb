"""A backend of its own installation for each test, and an image that holds only busybox."""

import io
import tarfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from sessions.sandbox import names
from sessions.sandbox.base import ContainerSpec, ExecEnded, ExecOutput, ExecRequest, Sandbox
from sessions.sandbox.channel import open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.limits import MIB, Limits

BUSYBOX_IMAGE = "berth-test/busybox"
BUSYBOX_RECIPE = f"""
FROM {names.SLIM_IMAGE} AS source
USER root
RUN apt-get update && apt-get install -y --no-install-recommends busybox-static
FROM scratch
COPY --from=source /bin/busybox /bin/busybox
RUN ["/bin/busybox", "--install", "/bin"]
"""

SMALL_LIMITS = Limits(memory_bytes=256 * MIB, cpus=0.5, pids=64)

Spec = Callable[..., ContainerSpec]
Connect = Callable[[str], Awaitable[Sandbox]]


@pytest.fixture
async def docker() -> AsyncIterator[AsyncDocker]:
    client = AsyncDocker()
    yield client
    await client.close()


@pytest.fixture
async def backend(busybox_image: str) -> AsyncIterator[DockerBackend]:
    backend = DockerBackend(
        installation=f"test-{uuid.uuid4().hex[:12]}", allowed_images=[busybox_image]
    )
    yield backend
    for container in await backend.containers():
        await backend.remove(container.container_id)
    for volume in await backend.volumes():
        await backend.remove_volume(volume)
    await backend.close()


@pytest.fixture
async def connect(backend: DockerBackend) -> AsyncIterator[Connect]:
    """Opens channels to containers, and closes them whatever the test did."""
    opened: list[Sandbox] = []

    async def open_one(container: str) -> Sandbox:
        opened.append(await open_channel(await backend.open(container)))
        return opened[-1]

    yield open_one
    for sandbox in opened:
        await sandbox.close()


@pytest.fixture
def spec() -> Spec:
    def make(image: str = names.SLIM_IMAGE, limits: Limits = SMALL_LIMITS) -> ContainerSpec:
        session_id = str(uuid.uuid4())
        volume = names.workspace_volume_name(session_id)
        return ContainerSpec(session_id, image, volume, limits)

    return make


@pytest.fixture
async def busybox_image(docker: AsyncDocker) -> str:
    """Built once; after that the engine's layer cache answers."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        recipe = tarfile.TarInfo("Dockerfile")
        recipe.size = len(BUSYBOX_RECIPE)
        archive.addfile(recipe, io.BytesIO(BUSYBOX_RECIPE.encode()))
    answers = await docker.call(
        lambda api: list(
            api.build(
                fileobj=io.BytesIO(context.getvalue()),
                custom_context=True,
                tag=BUSYBOX_IMAGE,
                rm=True,
                decode=True,
                network_mode="host",
            )
        ),
        timeout_s=300,
    )
    assert not [answer for answer in answers if "error" in answer], answers
    return BUSYBOX_IMAGE


async def output_of(sandbox: Sandbox, *argv: str) -> str:
    """All the output of a command that must succeed."""
    command = await sandbox.exec(ExecRequest(exec_id=uuid.uuid4().hex, argv=argv))
    output = b""
    async for item in command:
        if isinstance(item, ExecOutput):
            output += item.data
            await command.ack(item.stream, item.offset + len(item.data))
        if isinstance(item, ExecEnded):
            assert (item.ending.kind, item.ending.exit_code) == ("exit", 0), (item, output)
    return output.decode()


@pytest.fixture
async def bare_container(docker: AsyncDocker) -> AsyncIterator[str]:
    """A container whose PID 1 only sleeps, for streams that need no guest."""
    config = {
        "Image": names.SLIM_IMAGE,
        "Entrypoint": ["sleep", "600"],
        "Cmd": [],
        "HostConfig": {"NetworkMode": "none", "LogConfig": {"Type": "none", "Config": {}}},
    }
    container = await docker.create_container(config, f"berth-test-{uuid.uuid4().hex[:8]}")
    await docker.call(lambda api: api.start(container))
    yield container
    await docker.remove_container(container)
