"""The engine dies and comes back; containers live on, as live-restore promises."""

import asyncio

from tests.chaos.engine import OwnEngine
from tests.chaos.faults.base import Fault, Scene, has_own_engine, in_thread

LONGEST_PAUSE_S = 5.0


async def kill_dockerd(scene: Scene) -> str:
    engine = scene.engine
    assert isinstance(engine, OwnEngine)
    pause_s = scene.pause_s(LONGEST_PAUSE_S)
    await in_thread(engine.kill_dockerd)
    await asyncio.sleep(pause_s)
    await in_thread(engine.start_dockerd)
    return f"away for {pause_s:.1f} s"


async def kill_everything(scene: Scene) -> str:
    """dockerd and every process of Berth at once, back in any order."""
    engine = scene.engine
    assert isinstance(engine, OwnEngine)
    pause_s = scene.pause_s(LONGEST_PAUSE_S)
    is_engine_first = scene.rng.random() < 0.5
    await asyncio.gather(in_thread(engine.kill_dockerd), in_thread(scene.installation.kill_all))
    await asyncio.sleep(pause_s)
    starts = [engine.start_dockerd, scene.installation.start_all]
    for start in starts if is_engine_first else reversed(starts):
        await in_thread(start)
    return f"away for {pause_s:.1f} s, {'engine' if is_engine_first else 'Berth'} back first"


FAULTS = (
    Fault("dockerd killed", kill_dockerd, weight=1.5, is_possible=has_own_engine),
    Fault("dockerd and all killed", kill_everything, weight=0.7, is_possible=has_own_engine),
)
