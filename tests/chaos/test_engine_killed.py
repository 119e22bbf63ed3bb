"""SIGKILL of dockerd under live-restore."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos import containers
from tests.chaos.checks import Tally, check_subject
from tests.chaos.engine import OwnEngine
from tests.chaos.installation import Installation
from tests.chaos.load import LIMITS, Subject, wait_for
from tests.chaos.records import Database
from tests.chaos.viewer import Viewer
from tests.chaos.workload import Printed, TurnPlan
from tests.serve.berth_client import BerthClient

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]
SESSIONS = 10
AWAY_S = 4.0
START_TIMEOUT_S = 120.0
SETTLE_TIMEOUT_S = 180.0


@pytest.fixture
def installation(engine: OwnEngine, tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path, f"killed-{uuid.uuid4().hex[:8]}", engine.address)
    try:
        installation.migrate()
        installation.start("one process")
        yield installation
    finally:
        installation.stop()
        containers.remove_all(engine, installation.name)


@asynccontextmanager
async def subjects_of(client: BerthClient) -> AsyncIterator[list[Subject]]:
    """Each with one command that prints for long, and one in a later step; and a viewer."""
    subjects: list[Subject] = []
    viewing: list[asyncio.Task[None]] = []
    try:
        for number in range(1, SESSIONS + 1):
            label = f"k{number}"
            plan = TurnPlan([[Printed(f"{label}.0", "steady")], [Printed(f"{label}.1", "split")]])
            session_id = await asyncio.to_thread(client.create_session, plan.message, **LIMITS)
            viewer = Viewer(client, session_id)
            viewing.append(asyncio.create_task(viewer.run()))
            subjects.append(Subject(session_id, label, viewer, [plan]))
        yield subjects
    finally:
        for task in viewing:
            task.cancel()
        await asyncio.gather(*viewing, return_exceptions=True)


def started_at(engine: OwnEngine, names: list[str]) -> str:
    """Of each container; and its first process, by the kernel's number."""
    return engine.docker("inspect", "--format", "{{.State.StartedAt}} {{.State.Pid}}", *names)


async def test_ten_commands_outlast_the_kill_of_their_engine(
    engine: OwnEngine, installation: Installation
) -> None:
    database = Database(installation.database)
    client = BerthClient(installation.server.url, installation.server.link)
    async with subjects_of(client) as subjects:
        ids = [subject.session_id for subject in subjects]

        def all_print() -> bool:
            calls = [call for one in ids for call in database.history(one).calls.values()]
            return len([call for call in calls if call.pieces and not call.endings]) == SESSIONS

        assert await wait_for(all_print, START_TIMEOUT_S), installation.log_tail()
        names = [database.container_id(one) for one in ids]
        before = await asyncio.to_thread(started_at, engine, names)
        await asyncio.to_thread(engine.kill_dockerd)
        running = sum(database.running_calls(one) for one in ids)
        await asyncio.sleep(AWAY_S)
        await asyncio.to_thread(engine.start_dockerd)
        assert running == SESSIONS
        assert await asyncio.to_thread(started_at, engine, names) == before

        def is_settled() -> bool:
            return all(
                not database.open_turns(one.session_id)
                and one.viewer.last_seq >= database.last_seq(one.session_id)
                for one in subjects
            )

        assert await wait_for(is_settled, SETTLE_TIMEOUT_S), installation.log_tail()
        assert [database.container_id(one) for one in ids] == names
        volumes = {one: database.volume(one) for one in ids}
        marks = await asyncio.to_thread(containers.marks, engine, volumes)
        tally = Tally()
        for subject in subjects:
            history = database.history(subject.session_id)
            check_subject(subject, history, marks[subject.session_id], tally)
    assert tally.violations == []
    assert (tally.calls, tally.calls_lost) == (2 * SESSIONS, 0)
