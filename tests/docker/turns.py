"""Whole turns in a real container: the supervisor, the agent's tools, the log."""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import User

from sessions import services
from sessions.events.types import CallEnded, CallStarted, Output, ToolResult
from sessions.models import Session
from sessions.providers.base import ToolResultItem, item_from_json
from sessions.providers.conversation import result_text
from sessions.runtime.archives import Archives
from sessions.runtime.process import Runtime, SandboxConfig
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.supervisor import Supervisor
from sessions.runtime.wiring import max_limits, use_runtime
from sessions.sandbox import names
from sessions.sandbox.base import Sandbox
from sessions.sandbox.channel import open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.limits import MIB, Limits
from tests.runtime.conftest import Log
from tests.runtime.test_turns import is_end_of
from tests.scripted_models import ScriptedModels

LIMITS = Limits(memory_bytes=256 * MIB, cpus=1.0, pids=128, command_timeout_s=120)


@dataclass(frozen=True)
class Call:
    ending: dict[str, object]
    output: bytes
    told: str
    """What the model reads of it."""


class Turns:
    """One session of `owner`, whose messages are scripts."""

    def __init__(self, runtime: Runtime, docker: AsyncDocker, session: Session) -> None:
        self.runtime = runtime
        self.docker = docker
        self.session = session
        self.log = Log(session)
        self._number = 1

    async def run(self, script: str, *, timeout_s: float = 90) -> Call:
        """One command in a turn of its own, to the turn's end."""
        return (await self.run_all([script], timeout_s=timeout_s))[0]

    async def run_all(self, scripts: list[str], *, timeout_s: float = 90) -> list[Call]:
        before = len(await self.log.of(CallEnded))
        await self.begin(scripts)
        return (await self.end(timeout_s=timeout_s))[before:]

    async def begin(self, scripts: list[str]) -> None:
        self._number += 1
        text = "\n".join(f"```bash\n{script}\n```" for script in scripts)
        await services.turn_submit(session=self.session, text=text)

    async def end(self, *, timeout_s: float = 60) -> list[Call]:
        """All calls of the session, once the turn that runs has ended."""
        await self.log.wait_for(is_end_of(self._number), timeout_s)
        bodies = await self.log.bodies()
        results = [_told(b) for b in bodies if isinstance(b, ToolResult)]
        ended = {b.call_id: b.ending for b in bodies if isinstance(b, CallEnded)}
        started = [b for b in bodies if isinstance(b, CallStarted)]
        return [
            Call(
                ended[call.call_id],
                b"".join(
                    b.content
                    for b in bodies
                    if isinstance(b, Output) and b.call_id == call.call_id
                ),
                next(told for told in results if call.command in told),
            )
            for call in started
        ]

    async def container(self) -> str:
        return (await Session.objects.aget(id=self.session.id)).container_id

    async def sandbox(self) -> Sandbox:
        return await self.runtime.sandboxes.connect(self.session)

    async def processes(self) -> list[str]:
        """Command lines in the container, as the engine sees them; the guest's own left out."""
        container = await self.container()
        top = await self.docker.call(lambda api: api.top(container, "-eo pid,stat,args"))
        lines = [" ".join(row[1:]) for row in top["Processes"]]
        return [
            line for line in lines if names.GUEST_PATH not in line and not line.startswith("Z")
        ]


def _told(body: ToolResult) -> str:
    item = item_from_json(body.item)
    assert isinstance(item, ToolResultItem)
    return result_text(item)


@asynccontextmanager
async def turns(owner: User, limits: Limits = LIMITS, **tmpfs: str) -> AsyncIterator[Turns]:
    """`tmpfs` are the options of a workspace that is one, as `size="16m"`."""
    installation = f"test-{uuid.uuid4().hex[:12]}"
    archives = Archives(Path(tempfile.gettempdir()) / installation)
    docker = AsyncDocker()
    backend = DockerBackend(installation=installation)
    sandboxes = Sandboxes(backend, open_channel, archives=archives)
    config = SandboxConfig(names.SLIM_IMAGE, limits, max_limits())
    runtime = Runtime(sandboxes=sandboxes, models=ScriptedModels(), config=config)
    use_runtime(runtime)
    supervisor = Supervisor(runtime, max_running_turns=4)
    running: asyncio.Task[None] | None = None
    try:
        session = await services.session_create(
            owner=owner, text="Get ready.", provider="scripted", model="scripted",
            image=names.SLIM_IMAGE, limits=limits,
        )  # fmt: skip
        if tmpfs:
            await _make_tmpfs(docker, installation, session, tmpfs)
        running = asyncio.create_task(supervisor.run())
        ready = Turns(runtime, docker, session)
        await ready.log.wait_for(is_end_of(1), 60)
        yield ready
    finally:
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        use_runtime(None)
        await sandboxes.close_channels()
        for container in await backend.containers():
            await backend.remove(container.container_id)
        for volume in await backend.volumes():
            await backend.remove_volume(volume)
        await runtime.aclose()
        await docker.close()


async def _make_tmpfs(
    docker: AsyncDocker, installation: str, session: Session, options: dict[str, str]
) -> None:
    session.workspace_volume = names.workspace_volume_name(str(session.id))
    await session.asave(update_fields=["workspace_volume"])
    words = ",".join(f"{name}={value}" for name, value in options.items())
    await docker.call(
        lambda api: api.create_volume(
            session.workspace_volume,
            driver="local",
            driver_opts={"type": "tmpfs", "device": "tmpfs", "o": f"{words},uid=1000,gid=1000"},
            labels=names.ownership_labels(installation, str(session.id)),
        )
    )
