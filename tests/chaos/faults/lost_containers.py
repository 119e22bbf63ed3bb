"""A container is really gone, or stands still for a while."""

import asyncio
import contextlib
import subprocess

from tests.chaos import containers
from tests.chaos.engine import Engine
from tests.chaos.faults.base import Fault, Scene, has_runners, in_thread
from tests.chaos.load import Subject

PAUSE_TIMEOUT_S = 10.0
LONGEST_S = 5.0


async def remove_container(scene: Scene) -> str:
    """Its running calls end as lost; the session goes on in another one."""
    subject = scene.subject()
    container_id = scene.database.container_id(subject.session_id)
    if not container_id:
        return ""
    return f"of {subject.label}" if await _remove(scene, subject, container_id) else ""


async def _remove(scene: Scene, subject: Subject, container_id: str) -> bool:
    """Whether it was there."""
    subject.removals += 1
    try:
        await in_thread(scene.engine.docker, "rm", "-f", container_id)
    except subprocess.CalledProcessError as error:
        if "No such container" not in error.stderr:
            raise
        return False
    return True


async def replace_container(scene: Scene) -> str:
    """While no runner is there, somebody looks at the files, for which the session gets another
    container: the runner that comes back must not take it for that in which its commands ran."""
    working = [one for one in scene.load.subjects if scene.database.running_calls(one.session_id)]
    if not working:
        return ""
    for runner in scene.installation.runners:
        await in_thread(runner.kill)
    try:
        replaced = [one for one in working if await _replace(scene, one)]
    finally:
        starts = [in_thread(runner.start) for runner in scene.installation.runners]
        await asyncio.gather(*starts)
    return f"of {', '.join(one.label for one in replaced)}" if replaced else ""


async def _replace(scene: Scene, subject: Subject) -> bool:
    container_id = scene.database.container_id(subject.session_id)
    if not container_id or not await _remove(scene, subject, container_id):
        return False
    path = f"/sessions/{subject.session_id}/files/list/?path="

    def look() -> None:
        try:
            for _piece in scene.load.client.stream(path):
                pass
        except AssertionError as error:
            if ": 503 " not in str(error):
                raise
            raise ConnectionError(str(error)) from error  # asked again, as for no server

    await scene.load.insist(look)
    if scene.database.container_id(subject.session_id) in ("", container_id):
        raise AssertionError(f"session {subject.session_id}: its files were listed in nothing")
    return True


def _pause(engine: Engine, verb: str, container_id: str, engine_id: str) -> None:
    """Docker 20.10 blocks for good when a container is paused in the moment in which something is
    started in it: its shim waits for the frozen process, and the thaw waits for the shim. Then the
    kernel is asked past it. Raises: subprocess.CalledProcessError."""
    try:
        engine.docker(verb, container_id, timeout_s=PAUSE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        containers.thaw(engine_id)
        engine.docker("unpause", container_id)


async def pause_container(scene: Scene) -> str:
    subject = scene.subject()
    container_id = scene.database.container_id(subject.session_id)
    if not container_id:
        return ""
    pause_s = scene.pause_s(LONGEST_S)
    engine_id = await in_thread(containers.engine_id, scene.engine, container_id)
    try:
        await in_thread(_pause, scene.engine, "pause", container_id, engine_id)
    except subprocess.CalledProcessError:
        return ""
    await asyncio.sleep(pause_s)
    with contextlib.suppress(subprocess.CalledProcessError):  # removed meanwhile: judged later
        await in_thread(_pause, scene.engine, "unpause", container_id, engine_id)
    return f"of {subject.label} for {pause_s:.1f} s"


FAULTS = (
    Fault("containers replaced", replace_container, weight=0.7, is_possible=has_runners),
    Fault("container removed", remove_container, weight=1.5),
    Fault("container paused", pause_container, weight=1.0),
)
