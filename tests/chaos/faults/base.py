"""What a fault is, and what it may reach."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.chaos.engine import Engine, OwnEngine
from tests.chaos.installation import Installation, Topology
from tests.chaos.load import Load, Subject
from tests.chaos.records import Database
from tests.chaos.relay import Relay

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything of a round that can be broken. `rng` alone decides what and for how long."""

    rng: random.Random
    engine: Engine
    relay: Relay
    installation: Installation
    topology: Topology
    database: Database
    load: Load

    def pause_s(self, longest: float) -> float:
        return self.rng.uniform(0.0, longest)

    def subject(self) -> Subject:
        return self.rng.choice(self.load.subjects)


async def in_thread(act: Callable[..., T], *arguments: object) -> T:
    """For what blocks: processes and the docker client."""
    return await asyncio.to_thread(act, *arguments)


Inject = Callable[[Scene], Awaitable[str]]


def always(scene: Scene) -> bool:
    return True


def has_own_engine(scene: Scene) -> bool:
    return isinstance(scene.engine, OwnEngine)


def has_runners(scene: Scene) -> bool:
    return scene.topology == "two runners"


@dataclass(frozen=True, slots=True)
class Fault:
    """`inject` does the harm, undoes what of it does not undo itself, and says in a few words what
    it did; empty where there was nothing to harm, which does not count as a fault."""

    name: str
    inject: Inject
    weight: float = 1.0
    is_possible: Callable[[Scene], bool] = field(default=always)
