"""SIGSTOP of a runner beyond its lease: it wakes as a writer that must not write any more."""

import asyncio
import signal

from tests.chaos.faults.base import Fault, Scene, has_runners

LEASE_S = 30.0


async def freeze_runner(scene: Scene) -> str:
    frozen = scene.rng.choice(scene.installation.agents)
    pause_s = LEASE_S + scene.rng.uniform(2.0, 8.0)
    frozen.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(pause_s)
    finally:
        frozen.send_signal(signal.SIGCONT)
    return f"frozen for {pause_s:.1f} s"


async def freeze_shortly(scene: Scene) -> str:
    """Within its lease: it keeps what it holds."""
    frozen = scene.rng.choice(scene.installation.agents)
    pause_s = scene.pause_s(5.0)
    frozen.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(pause_s)
    finally:
        frozen.send_signal(signal.SIGCONT)
    return f"frozen for {pause_s:.1f} s"


FAULTS = (
    Fault("runner frozen beyond its lease", freeze_runner, weight=0.15, is_possible=has_runners),
    Fault("runner frozen", freeze_shortly, weight=0.7),
)
