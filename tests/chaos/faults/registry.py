"""Every fault there is. One more is one more file here with its `FAULTS`."""

import random
from collections.abc import Collection

from tests.chaos.faults import (
    connections,
    engines,
    frozen,
    lifecycle,
    lost_containers,
    processes,
)
from tests.chaos.faults.base import Fault, Scene

FAULTS: tuple[Fault, ...] = (
    *processes.FAULTS,
    *frozen.FAULTS,
    *engines.FAULTS,
    *connections.FAULTS,
    *lost_containers.FAULTS,
    *lifecycle.FAULTS,
)


def choose(scene: Scene, rng: random.Random, only: Collection[str] = ()) -> Fault:
    """Of all, or of those with these names. Raises: ValueError when none can be injected."""
    possible = [
        fault for fault in FAULTS if fault.is_possible(scene) and (not only or fault.name in only)
    ]
    if not possible:
        raise ValueError(f"none of {', '.join(only)} is possible with {scene.topology}")
    return rng.choices(possible, [fault.weight for fault in possible])[0]


def missing(scene: Scene, injected: Collection[str]) -> list[str]:
    """Names of those that are possible now and were not injected yet."""
    return [
        fault.name for fault in FAULTS if fault.is_possible(scene) and fault.name not in injected
    ]
