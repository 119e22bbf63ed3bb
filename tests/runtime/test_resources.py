"""What a turn uses is in the log: true figures, and no more of them than a chart needs."""

import dataclasses
from typing import Any

import pytest
from django.contrib.auth.models import User

from sessions import services
from sessions.events.types import CallEnded, Notice, Resources, ToolResult, TurnStarted
from sessions.runtime.process import Runtime
from sessions.runtime.resources import is_at_rest, is_noticeable
from sessions.runtime.supervisor import Supervisor
from sessions.sandbox.base import TerminalSize
from sessions.sandbox.limits import MIB, Limits
from tests.runtime.conftest import Log
from tests.runtime.test_turns import is_end, is_end_of, start

FIGURES = Resources(
    cpu_percent=10.0,
    memory_bytes=100 * MIB,
    memory_limit_bytes=1024 * MIB,
    memory_peak_bytes=100 * MIB,
    pids=4,
    pids_limit=512,
    disk_used_bytes=10 * MIB,
    disk_limit_bytes=1024 * MIB,
)


@pytest.mark.slow
async def test_a_turns_figures_are_recorded_before_its_end(
    supervisor: Supervisor, alice: User
) -> None:
    script = "head -c 60000000 /dev/zero > big; sleep 2.5"
    limits = Limits(disk_bytes=256 * MIB)
    session = await start(alice, f"Go.\n```bash\n{script}\n```", limits)
    await Log(session).wait_for(is_end)
    bodies = await Log(session).bodies()
    found = [body for body in bodies if isinstance(body, Resources)]
    assert found[-1].disk_limit_bytes == 256 * MIB
    assert found[-1].disk_used_bytes is not None
    assert 57 * MIB < found[-1].disk_used_bytes < 59 * MIB
    assert any((body.cpu_percent or 0) > 0 for body in found)
    last = max(i for i, body in enumerate(bodies) if isinstance(body, Resources))
    assert last < next(i for i, body in enumerate(bodies) if is_end(body))


@pytest.mark.slow
async def test_a_container_started_for_nobody_gets_its_sessions_limit(
    supervisor: Supervisor, sandbox_runtime: Runtime, alice: User
) -> None:
    session = await start(alice, "Go.\n```bash\ntrue\n```", Limits(disk_bytes=64 * MIB))
    await Log(session).wait_for(is_end)
    sandbox = sandbox_runtime.sandboxes.channel_now(session.id)
    assert sandbox is not None
    await sandbox.set_limits(disk_bytes=MIB)
    text = "```bash\nhead -c 20000000 /dev/zero > fits; sleep 2\n```"
    await services.turn_submit(session=session, text=text)
    await Log(session).wait_for(is_end_of(2))
    assert (await sandbox.usage()).disk_limit_bytes == 64 * MIB


@pytest.mark.slow
async def test_an_open_shell_is_recorded_between_turns_and_not_twice_during_one(
    supervisor: Supervisor, sandbox_runtime: Runtime, alice: User
) -> None:
    session = await start(alice, "Go.\n```bash\ntrue\n```")
    await Log(session).wait_for(is_end)
    before = len(await Log(session).of(Resources))
    shells = sandbox_runtime.shells
    row = await shells.open(session=session, user=alice, size=TerminalSize(80, 24))
    shells.live(row).typed.accept(0, b"head -c 300000000 /dev/zero > big\n")
    grown = await Log(session).wait_for(
        lambda body: isinstance(body, Resources) and (body.disk_used_bytes or 0) >= 285_000_000
    )
    # While something runs, the figure may be behind by a thousandth of the limit for half a minute.
    assert grown.disk_limit_bytes == Limits().disk_bytes
    assert len(await Log(session).of(Resources)) > before
    await services.turn_submit(session=session, text="```bash\nrm big; sleep 3\n```")
    await Log(session).wait_for(is_end_of(2))
    bodies = await Log(session).bodies()
    at = max(i for i, body in enumerate(bodies) if isinstance(body, TurnStarted))
    during = [body for body in bodies[at:] if isinstance(body, Resources)]
    assert 0 < len(during) <= 6, "one watch, at most once a second"
    await shells.close_shell(row)


@pytest.mark.slow
async def test_a_full_disk_is_told_to_the_person_and_to_the_model(
    supervisor: Supervisor, alice: User
) -> None:
    script = "while :; do head -c 1000000 /dev/zero >> big; sleep 0.02; done"
    limits = Limits(disk_bytes=8 * MIB)
    session = await start(alice, f"Go.\n```bash\n{script}\n```", limits)
    await Log(session).wait_for(is_end, timeout_s=60)
    (ended,) = await Log(session).of(CallEnded)
    assert ended.ending["kind"] == "disk_full"
    assert ended.ending["limit_bytes"] == 8 * MIB
    assert ended.ending["used_bytes"] > 8 * MIB
    (notice,) = [n for n in await Log(session).of(Notice) if n.code == "disk_full"]
    assert "8 MiB" in notice.text
    (result,) = await Log(session).of(ToolResult)
    assert result.item["commands"][0]["ending"] == ended.ending


async def test_a_look_that_shows_nothing_new_is_not_recorded() -> None:
    assert is_noticeable(None, FIGURES)
    assert not is_noticeable(FIGURES, FIGURES)
    changes: tuple[dict[str, Any], ...] = (
        {"cpu_percent": 12.0},
        {"memory_bytes": 105 * MIB},
        {"memory_peak_bytes": 900 * MIB},
        {"pids": 5},
        {"disk_used_bytes": 15 * MIB},
    )
    for change in changes:
        assert not is_noticeable(FIGURES, dataclasses.replace(FIGURES, **change)), change
    changes = (
        {"cpu_percent": 15.0},
        {"memory_bytes": 120 * MIB},
        {"pids": 2},
        {"disk_used_bytes": 30 * MIB},
        {"disk_used_bytes": None},
        {"disk_limit_bytes": 1},
    )
    for change in changes:
        assert is_noticeable(FIGURES, dataclasses.replace(FIGURES, **change)), change


async def test_where_small_changes_come_to_rest_is_recorded() -> None:
    step = dataclasses.replace(FIGURES, disk_used_bytes=15 * MIB, pids=5)
    assert not is_noticeable(FIGURES, step)
    assert not is_at_rest(FIGURES, FIGURES, step), "it may still be moving"
    assert is_at_rest(FIGURES, step, step)
    assert is_at_rest(FIGURES, step, dataclasses.replace(step, cpu_percent=12.0))
    assert not is_at_rest(step, step, step)
    assert not is_at_rest(None, step, step)
    assert not is_at_rest(FIGURES, None, step)
