"""Containers of the bench: the real backend and channel, without web server and database."""

import asyncio
import contextlib
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sessions.sandbox.base import ContainerSpec, ExecEnded, ExecRequest, Sandbox
from sessions.sandbox.channel import open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.limits import GIB, Limits

IMAGE = "berth/sandbox-slim"
LIMITS = Limits(memory_bytes=2 * GIB, cpus=2.0, command_timeout_s=300.0)


@dataclass(frozen=True)
class Box:
    """One container of ours with an open channel."""

    container_id: str
    sandbox: Sandbox


def backend(installation: str) -> DockerBackend:
    return DockerBackend(
        installation=installation, allowed_images=[IMAGE], guest_volume_image=IMAGE
    )


@contextlib.asynccontextmanager
async def box(docker: DockerBackend, limits: Limits = LIMITS) -> AsyncIterator[Box]:
    session_id = str(uuid.uuid4())
    volume = f"berth-ws-{session_id}"
    container_id = await docker.create(
        ContainerSpec(session_id=session_id, image=IMAGE, workspace_volume=volume, limits=limits)
    )
    try:
        sandbox = await open_channel(await docker.open(container_id))
        try:
            yield Box(container_id, sandbox)
        finally:
            await sandbox.close()
    finally:
        await docker.remove(container_id)
        await docker.remove_volume(volume)


async def execute(sandbox: Sandbox, *argv: str) -> tuple[ExecEnded, bytes]:
    """Run to the end; returns the ending and stdout."""
    request = ExecRequest(exec_id=uuid.uuid4().hex, argv=argv, timeout_s=120, keep_log=False)
    output = b""
    async for piece in await sandbox.exec(request):
        if isinstance(piece, ExecEnded):
            return piece, output
        if piece.stream == "stdout":
            output += piece.data
    raise AssertionError("a command always ends")


def timed_run(argv: Sequence[str]) -> float:
    """Milliseconds of a program on the host, from start to end."""
    start = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True)
    return (time.perf_counter() - start) * 1000


async def docker_cli(*argv: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "docker", *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"docker {argv[0]}: {err.decode()}")
    return out.decode().strip()
