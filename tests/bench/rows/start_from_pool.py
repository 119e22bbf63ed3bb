"""New session to first output, from the pool, beside `docker run` of the same image."""

import asyncio
import time
import uuid

from django.contrib.auth.models import User
from django.core.management import call_command

from sessions import services
from sessions.models import PooledContainer, Session
from sessions.runtime.archives import Archives
from sessions.runtime.pool import PoolConfig, PoolSize
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.channel import open_channel
from tests.bench.bench import Bench
from tests.bench.figures import Measurement, ratio_at_p50
from tests.bench.sandboxes import IMAGE, LIMITS, backend, execute, timed_run

TARGET = 1 / 8
POOL_SIZE = 2


async def measure(bench: Bench) -> Measurement:
    """The session's row exists; asking for its container is where the time begins, as it does
    when a turn is claimed."""
    await asyncio.to_thread(call_command, "migrate", verbosity=0)
    owner, _ = await User.objects.aget_or_create(username="bench")
    docker = backend(f"{bench.installation}-pool")
    sandboxes = Sandboxes(
        docker,
        open_channel,
        archives=Archives(bench.var_dir / "archives"),
        pool=PoolConfig({IMAGE: PoolSize(POOL_SIZE)}, LIMITS),
    )
    ours: list[float] = []
    floor: list[float] = []
    try:
        for _ in range(bench.count(40, quick=8)):
            await sandboxes.pool.fill()
            ours.append(await _first_output(sandboxes, await _session(owner)))
            run = ["docker", "run", "--rm", "--network", "none", "--log-driver", "none", IMAGE]
            floor.append(timed_run([*run, "true"]))
    finally:
        await _clear(sandboxes)
    ratio = ratio_at_p50(ours, floor)
    return Measurement(
        unit="ms",
        ours=ours,
        floor="docker run --rm IMAGE true",
        floor_samples=floor,
        target=f"≤ 1/{1 / TARGET:g} of the floor",
        is_met=ratio <= TARGET,
        note=f"1/{1 / ratio:.1f} of the floor; each from a pool of {POOL_SIZE}, filled between",
    )


async def _session(owner: User) -> Session:
    return await services.session_create(
        owner=owner,
        text=f"bench {uuid.uuid4().hex}",
        provider="scripted",
        model="scripted",
        image=IMAGE,
        limits=LIMITS,
    )


async def _first_output(sandboxes: Sandboxes, session: Session) -> float:
    start = time.perf_counter()
    sandbox = await sandboxes.connect(session)
    shell = await sandboxes.shell(session)
    _, output = await execute(sandbox, shell, "-c", "echo ready")
    took = (time.perf_counter() - start) * 1000
    assert output == b"ready\n"
    row = await Session.objects.aget(id=session.id)
    await sandboxes.reclaim(row)
    await row.adelete()
    return took


async def _clear(sandboxes: Sandboxes) -> None:
    await sandboxes.close_channels()
    for container in await sandboxes.backend.containers():
        await sandboxes.backend.remove(container.container_id)
    for volume in await sandboxes.backend.volumes():
        await sandboxes.backend.remove_volume(volume)
    await PooledContainer.objects.all().adelete()
    await sandboxes.backend.close()
