"""Sessions that always have commands running, each with a viewer."""

import asyncio
import functools
import random
import urllib.error
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TypeVar

from tests.chaos.records import Database
from tests.chaos.viewer import Viewer
from tests.chaos.workload import Printed, TurnPlan, plan_turn
from tests.serve.berth_client import BerthClient

T = TypeVar("T")
AWAY = (urllib.error.URLError, HTTPException, OSError)
RETRY_S = 0.5
LIMITS = {"memory_mb": "256", "cpus": "1", "pids": "128"}


@dataclass(slots=True)
class Subject:
    """A session under test, and what befell it."""

    session_id: uuid.UUID
    label: str
    viewer: Viewer
    plans: list[TurnPlan] = field(default_factory=list)
    removals: int = 0
    """How often its container was taken away."""

    def commands(self) -> dict[str, Printed]:
        return {command.name: command for plan in self.plans for command in plan.commands}


class Load:
    def __init__(self, client: BerthClient, database: Database, rng: random.Random) -> None:
        self.subjects: list[Subject] = []
        self.is_ending = False
        self.client = client
        self._database = database
        self._rng = rng
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, count: int, name: str) -> None:
        for number in range(1, count + 1):
            label = f"{name}s{number}"
            plan = self._plan(label, 1)
            session_id = await asyncio.to_thread(
                self.client.create_session, plan.message, **LIMITS
            )
            viewer = Viewer(self.client, session_id)
            subject = Subject(session_id, label, viewer, [plan])
            self.subjects.append(subject)
            self._tasks.append(asyncio.create_task(viewer.run()))
            self._tasks.append(asyncio.create_task(self._feed(subject)))

    def _plan(self, label: str, turn: int) -> TurnPlan:
        return plan_turn(f"{label}.t{turn}", self._rng)

    async def _feed(self, subject: Subject) -> None:
        """Keep one turn waiting behind the one that runs."""
        while not self.is_ending:
            if self._database.open_turns(subject.session_id) < 2:
                plan = self._plan(subject.label, len(subject.plans) + 1)
                subject.plans.append(plan)
                await self._submit(subject, plan.message)
            await asyncio.sleep(RETRY_S)

    async def _submit(self, subject: Subject, text: str) -> None:
        """Until the database has it: an answer that is lost does not tell whether it was taken."""
        while not self._database.has_turn(subject.session_id, text):
            await self.insist(lambda: self._once(subject, text))

    def _once(self, subject: Subject, text: str) -> None:
        if not self._database.has_turn(subject.session_id, text):
            self.client.submit(subject.session_id, text)

    async def insist(self, act: Callable[[], T]) -> T:
        """Again and again while there is no server."""
        while True:
            try:
                return await asyncio.to_thread(act)
            except AWAY:
                await asyncio.sleep(RETRY_S)

    def failure(self) -> BaseException | None:
        """What went wrong in a task of the load itself."""
        failed = (task for task in self._tasks if task.done() and not task.cancelled())
        return next((error for task in failed if (error := task.exception())), None)

    def running_calls(self) -> int:
        return sum(self._database.running_calls(one.session_id) for one in self.subjects)

    async def settle(self, timeout_s: float) -> bool:
        """No new turns; True when all there are have ended and every viewer has seen it."""
        self.is_ending = True
        return await wait_for(self._is_settled, timeout_s)

    def _is_settled(self) -> bool:
        for one in self.subjects:
            if self._database.open_turns(one.session_id):
                return False
            if one.viewer.last_seq < self._database.last_seq(one.session_id):
                return False
        return all(
            self._database.has_turn(one.session_id, one.plans[-1].message) for one in self.subjects
        )

    async def delete(self) -> None:
        """Delete every session, as its owner does."""
        await self.stop_viewers()
        for one in self.subjects:
            await self.insist(functools.partial(self.client.delete, one.session_id))

    async def stop_viewers(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def wait_for(is_so: Callable[[], bool], timeout_s: float) -> bool:
    """Look twice a second."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await asyncio.to_thread(is_so):  # noqa: ASYNC110 - other processes do it
                await asyncio.sleep(0.5)
    except TimeoutError:
        return False
    return True
