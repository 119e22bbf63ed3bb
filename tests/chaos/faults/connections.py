"""Only what carries the bytes breaks: connections to the engine, channels, viewers' sockets."""

import asyncio
import contextlib

import psutil

from tests.chaos import containers
from tests.chaos.faults.base import Fault, Scene, in_thread

LONGEST_S = 5.0


async def cut_connections(scene: Scene) -> str:
    share = scene.rng.choice((0.2, 0.5, 1.0))
    cut = scene.relay.cut(share, scene.rng)
    return f"{cut} connections" if cut else ""


async def refuse_connections(scene: Scene) -> str:
    pause_s = scene.pause_s(LONGEST_S)
    await scene.relay.stop()
    await asyncio.sleep(pause_s)
    await scene.relay.start()
    return f"for {pause_s:.1f} s"


async def stall_connections(scene: Scene) -> str:
    pause_s = scene.pause_s(LONGEST_S)
    scene.relay.stall()
    await asyncio.sleep(pause_s)
    scene.relay.resume()
    return f"for {pause_s:.1f} s"


async def kill_channel(scene: Scene) -> str:
    """The program that handed the channel to the guest, in the container."""
    subject = scene.subject()
    container_id = scene.database.container_id(subject.session_id)
    if not container_id:
        return ""
    killed = 0
    engine_id = await in_thread(containers.engine_id, scene.engine, container_id)
    for process in await in_thread(containers.channels_in, engine_id) if engine_id else ():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            killed += 1
    return f"{killed} of {subject.label}" if killed else ""


async def cut_viewers(scene: Scene) -> str:
    share = scene.rng.choice((0.2, 0.5, 1.0))
    cut = [one for one in scene.load.subjects if scene.rng.random() < share]
    for subject in cut:
        subject.viewer.cut()
    return f"of {len(cut)} sessions" if cut else ""


FAULTS = (
    Fault("engine connections cut", cut_connections, weight=2.0),
    Fault("engine refuses", refuse_connections),
    Fault("engine stalls", stall_connections),
    Fault("channel killed", kill_channel, weight=2.0),
    Fault("viewers cut", cut_viewers, weight=2.0),
)
