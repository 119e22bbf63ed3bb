"""Every fault there is. One more is one more file here with its `FAULTS`."""

import random

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


def choose(scene: Scene, rng: random.Random) -> Fault:
    possible = [fault for fault in FAULTS if fault.is_possible(scene)]
    return rng.choices(possible, [fault.weight for fault in possible])[0]
