"""A container is really gone, or stands still for a while."""

import asyncio
import contextlib
import subprocess

from tests.chaos.faults.base import Fault, Scene, in_thread

LONGEST_S = 5.0


async def remove_container(scene: Scene) -> str:
    """Its running calls end as lost; the session goes on in another one."""
    subject = scene.subject()
    container_id = scene.database.container_id(subject.session_id)
    if not container_id:
        return ""
    subject.removals += 1
    try:
        await in_thread(scene.engine.docker, "rm", "-f", container_id)
    except subprocess.CalledProcessError as error:
        if "No such container" not in error.stderr:
            raise
        return ""
    return f"of {subject.label}"


async def pause_container(scene: Scene) -> str:
    subject = scene.subject()
    container_id = scene.database.container_id(subject.session_id)
    if not container_id:
        return ""
    pause_s = scene.pause_s(LONGEST_S)
    try:
        await in_thread(scene.engine.docker, "pause", container_id)
    except subprocess.CalledProcessError:
        return ""
    await asyncio.sleep(pause_s)
    with contextlib.suppress(subprocess.CalledProcessError):  # removed meanwhile: judged later
        await in_thread(scene.engine.docker, "unpause", container_id)
    return f"of {subject.label} for {pause_s:.1f} s"


FAULTS = (
    Fault("container removed", remove_container, weight=1.5),
    Fault("container paused", pause_container, weight=1.0),
)
