"""SIGKILL of Berth's own processes."""

import asyncio

from tests.chaos.faults.base import Fault, Scene, has_runners, in_thread

LONGEST_PAUSE_S = 4.0


async def kill_server(scene: Scene) -> str:
    pause_s = scene.pause_s(LONGEST_PAUSE_S)
    await in_thread(scene.installation.server.kill)
    await asyncio.sleep(pause_s)
    await in_thread(scene.installation.server.start)
    return f"away for {pause_s:.1f} s"


async def kill_runner(scene: Scene) -> str:
    """The other one takes over meanwhile."""
    number = scene.rng.randrange(len(scene.installation.runners))
    pause_s = scene.pause_s(LONGEST_PAUSE_S)
    runner = scene.installation.runners[number]
    await in_thread(runner.kill)
    await asyncio.sleep(pause_s)
    await in_thread(runner.start)
    return f"runner {number + 1} away for {pause_s:.1f} s"


async def kill_all(scene: Scene) -> str:
    pause_s = scene.pause_s(LONGEST_PAUSE_S)
    await in_thread(scene.installation.kill_all)
    await asyncio.sleep(pause_s)
    await in_thread(scene.installation.start_all)
    return f"all away for {pause_s:.1f} s"


FAULTS = (
    Fault("server killed", kill_server, weight=2.0),
    Fault("runner killed", kill_runner, weight=3.0, is_possible=has_runners),
    Fault("all killed", kill_all, weight=2.0),
)
