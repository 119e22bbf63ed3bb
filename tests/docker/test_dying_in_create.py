"""A process that dies while the engine makes a container for it, at each call that this takes.

As tests/runtime/test_crashes.py does it for every step of a container's life, with a real engine.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from typing_extensions import override

from sessions import services
from sessions.models import Session
from sessions.runtime.archives import Archives
from sessions.runtime.reaper import Reaper
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox import names
from sessions.sandbox.channel import open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.limits import GIB, MIB, Limits
from tests.runtime.test_crashes import DEAD_LEASE, CrashError, Steps, watch_statements

pytestmark = [pytest.mark.docker, pytest.mark.slow]
SMALL_LIMITS = Limits(memory_bytes=256 * MIB, cpus=0.5, pids=64, disk_bytes=1 * GIB)


class DyingDocker(AsyncDocker):
    """Each call is a step. Of what one call makes in the engine, its volume is a step before it."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    @override
    async def call(self, verb: Callable[[Any], Any], **options: Any) -> Any:
        self._steps.step("call the engine")
        return await super().call(verb, **options)

    @override
    async def create_container(self, config: dict[str, Any], name: str) -> str:
        workspace = config["HostConfig"]["Mounts"][0]
        labels = workspace["VolumeOptions"]["Labels"]
        await self.call(lambda api: api.create_volume(workspace["Source"], labels=labels))
        return await super().create_container(config, name)


async def start_and_die(
    engine: DockerBackend, archives: Archives, owner: User, crash_at: int | None
) -> tuple[Session, Steps]:
    """The first start of a session, up to the crash; and what was done of it."""
    session = await services.session_create(
        owner=owner,
        text="Say hello",
        provider="scripted",
        model="scripted",
        image=names.SLIM_IMAGE,
        limits=SMALL_LIMITS,
    )
    steps = Steps(crash_at)
    dying = DockerBackend(installation=engine._installation)
    await dying._guest_volume.ensure()
    dying._docker = DyingDocker(steps)
    process = Sandboxes(dying, open_channel, archives=archives, lease=DEAD_LEASE)
    await watch_statements([steps.on_statement])
    try:
        await process.connect(session)
    except CrashError:
        assert crash_at is not None
    finally:
        await watch_statements([])
        await process.close_channels()
        await dying.close()
    return session, steps


async def remove_all(engine: DockerBackend, after: Sandboxes) -> None:
    await after.close_channels()
    await Session.objects.all().adelete()
    await Reaper(after).reconcile()
    assert await engine.containers() == []
    assert await engine.volumes() == {}


async def test_dying_while_a_container_is_made_leaves_nothing_behind(
    backend: DockerBackend, tmp_path: Path, alice: User
) -> None:
    archives = Archives(tmp_path / "archives")
    after = Sandboxes(backend, open_channel, archives=archives)
    _, whole = await start_and_die(backend, archives, alice, None)
    assert whole.names.count("call the engine") >= 4, whole.names
    await remove_all(backend, after)
    states: set[tuple[bool, bool, bool]] = set()
    for crash_at in range(whole.count):
        session, _ = await start_and_die(backend, archives, alice, crash_at)
        left = await backend.containers()
        volumes = await backend.volumes()
        states.add((len(volumes) == 1, len(left) == 1, any(one.is_running for one in left)))
        await Reaper(after).reconcile()
        row = await Session.objects.aget(id=session.id)
        owned = {info.container_id for info in await backend.containers()}
        assert owned == {row.container_id} - {""}, whole.names[: crash_at + 1]
        assert set(await backend.volumes()) <= {row.workspace_volume} - {""}
        sandbox = await after.connect(row)
        assert (await sandbox.usage()).disk_limit_bytes == SMALL_LIMITS.disk_bytes
        assert (await sandbox.usage()).pids_limit == SMALL_LIMITS.pids
        await remove_all(backend, after)
    assert states >= {
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (True, True, True),
    }, "it died between volume, container and start"
