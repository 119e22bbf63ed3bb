"""A run: rounds of faults against a working installation, each judged once all is quiet."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import containers
from tests.chaos.checks import Tally, check_subject
from tests.chaos.engine import Engine
from tests.chaos.faults.base import Scene
from tests.chaos.faults.registry import choose, missing
from tests.chaos.installation import Installation, Topology
from tests.chaos.load import Load, wait_for
from tests.chaos.records import Database
from tests.chaos.relay import Relay
from tests.serve.berth_client import BerthClient

TOPOLOGIES: tuple[Topology, ...] = ("two runners", "one process")
FAULT_TIMEOUT_S = 120.0
SETTLE_TIMEOUT_S = 180.0
TIDY_TIMEOUT_S = 120.0
"""A guest lets go of a channel that has been silent for 90 s."""
BETWEEN_S = (0.2, 3.0)


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    faults: int = 200
    faults_per_round: int = 20
    sessions: int = 10
    minutes: float | None = None
    only: tuple[str, ...] = ()
    """Names of the faults to choose from, each as often as the others; empty for all."""


@dataclass(slots=True)
class Outcome:
    plan: Plan
    injected: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return not self.tally.violations


class Run:
    """`say` gets one line per fault. The engine is started and stopped by the caller."""

    def __init__(
        self, plan: Plan, engine: Engine, folder: Path, say: Callable[[str], None]
    ) -> None:
        self.outcome = Outcome(plan)
        self._plan = plan
        self._rng = random.Random(plan.seed)
        self._engine = engine
        self._relay = Relay(folder / "relay.sock", engine.socket)
        self._say = say
        self.installation = Installation(
            folder, f"chaos-{plan.seed % 2**32:08x}", self._relay.address
        )
        self._database = Database(self.installation.database)
        self._began_at = time.monotonic()

    async def run(self) -> Outcome:
        """Stops at the first round with a violation: what follows would only be noise."""
        await self._relay.start()
        try:
            await asyncio.to_thread(self.installation.migrate)
            number = 0
            while not self._is_done() and self.outcome.is_good:
                await self._round(number)
                number += 1
        finally:
            self.outcome.seconds = time.monotonic() - self._began_at
            await asyncio.to_thread(self.installation.stop)
            await self._relay.stop()
            await asyncio.to_thread(containers.remove_all, self._engine, self.installation.name)
        return self.outcome

    def _is_done(self) -> bool:
        limit = self._plan.minutes
        is_late = limit is not None and time.monotonic() - self._began_at > limit * 60
        return is_late or self.outcome.injected.total() >= self._plan.faults

    async def _round(self, number: int) -> None:
        topology = TOPOLOGIES[number % len(TOPOLOGIES)]
        self._say(f"round {number + 1}: {topology}, {self._plan.sessions} sessions")
        await asyncio.to_thread(self.installation.start, topology)
        client = await asyncio.to_thread(self._signed_in)
        load = Load(client, self._database, self._rng)
        scene = Scene(
            self._rng,
            self._engine,
            self._relay,
            self.installation,
            topology,
            self._database,
            load,
        )
        try:
            await load.start(self._plan.sessions, f"r{number + 1}")
            await wait_for(lambda: load.running_calls() >= self._plan.sessions, 60)
            await self._inject_some(scene)
            await self._judge(scene)
        finally:
            await load.stop_viewers()
        if self.outcome.is_good:
            await self._leave_nothing(scene)
        await asyncio.to_thread(self.installation.stop)

    def _signed_in(self) -> BerthClient:
        return BerthClient(self.installation.server.url, self.installation.server.link)

    async def _inject_some(self, scene: Scene) -> None:
        injected = 0
        while injected < self._plan.faults_per_round and not self._is_done():
            await asyncio.sleep(self._rng.uniform(*BETWEEN_S))
            running = scene.load.running_calls()
            fault = choose(scene, self._rng, self._wanted(scene))
            async with asyncio.timeout(FAULT_TIMEOUT_S):
                did = await fault.inject(scene)
            if error := scene.load.failure():
                raise error
            if did:
                injected += 1
                self.outcome.injected[fault.name] += 1
                at = time.strftime("%H:%M:%S")
                total = f"{self.outcome.injected.total():>3}/{self._plan.faults}"
                self._say(f"[{total}] {at} {fault.name}: {did}; {running} commands running")

    def _wanted(self, scene: Scene) -> list[str]:
        """Of the faults asked for, those that were injected least often so far. Of all, those that
        never were: a run of many has each at least once."""
        if not self._plan.only:
            return missing(scene, self.outcome.injected)
        counts = {name: self.outcome.injected[name] for name in self._plan.only}
        return [name for name, count in counts.items() if count == min(counts.values())]

    async def _judge(self, scene: Scene) -> None:
        tally, load = self.outcome.tally, scene.load
        if not await load.settle(SETTLE_TIMEOUT_S):
            tally.violations.append(f"not all turns ended within {SETTLE_TIMEOUT_S:.0f} s")
        if error := load.failure():
            raise error
        volume_of = {
            one.session_id: self._database.volume(one.session_id) for one in load.subjects
        }
        marks = await asyncio.to_thread(containers.marks, self._engine, volume_of)
        for subject in load.subjects:
            history = await asyncio.to_thread(self._database.history, subject.session_id)
            check_subject(subject, history, marks[subject.session_id], tally)
        if not await wait_for(lambda: not self._left_running(scene), TIDY_TIMEOUT_S):
            tally.violations += self._left_running(scene)
        self._say(
            f"  judged: {tally.calls} calls, {tally.bytes_checked:,} bytes so far, "
            f"{len(tally.violations)} violations"
        )

    def _left_running(self, scene: Scene) -> list[str]:
        """Processes in the containers beyond the guest and one channel of each of ours."""
        found = []
        for subject in scene.load.subjects:
            name = self._database.container_id(subject.session_id)
            container_id = containers.engine_id(self._engine, name) if name else ""
            if not container_id:
                continue
            verbs = Counter(
                containers.verb_of(one) for one in containers.processes_in(container_id)
            )
            channels = verbs.pop("connect", 0)
            if verbs != {"serve": 1} or channels > scene.installation.processes:
                found.append(
                    f"session {subject.session_id} ({subject.label}): container "
                    f"{container_id[:12]} runs {dict(verbs)} and {channels} channels"
                )
        return found

    async def _leave_nothing(self, scene: Scene) -> None:
        await scene.load.delete()
        if not await wait_for(lambda: not self._remains(), TIDY_TIMEOUT_S):
            self.outcome.tally.violations += self._remains()

    def _remains(self) -> list[str]:
        """Of sessions that were all deleted."""
        found = [f"session {one} is still there" for one in self._database.sessions()]
        pooled, pooled_volumes = self._database.pool()
        owned = containers.labelled(self._engine, self.installation.name)
        found += [
            f"container {one} of {session}" for one, session in owned.items() if one not in pooled
        ]
        volumes = containers.volumes(self._engine, self.installation.name)
        found += [f"volume {one}" for one in volumes if one not in pooled_volumes]
        return found
