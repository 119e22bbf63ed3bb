"""A short chaos run, so that the suite meets each part of the harness and some of the faults."""

import random

import pytest

from tests.chaos.__main__ import report, run
from tests.chaos.engine import OwnEngine
from tests.chaos.run import Plan

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]
RARE = ("killed while one is archived", "killed while one is restored", "containers replaced")


def test_ten_faults_lose_nothing(engine: OwnEngine) -> None:
    seed = random.SystemRandom().randrange(2**32)
    outcome = run(Plan(seed=seed, faults=10, faults_per_round=5, sessions=4), engine=engine)
    assert outcome.is_good, "\n".join([report(outcome), *outcome.tally.violations])
    assert outcome.injected.total() == 10
    assert outcome.tally.sessions == 8
    assert outcome.tally.bytes_checked > 1_000_000


def test_faults_that_are_rarely_chosen_lose_nothing(engine: OwnEngine) -> None:
    """Each three times, with two runners."""
    seed = random.SystemRandom().randrange(2**32)
    plan = Plan(seed=seed, faults=9, faults_per_round=9, sessions=3, only=RARE)
    outcome = run(plan, engine=engine)
    assert outcome.is_good, "\n".join([report(outcome), *outcome.tally.violations])
    assert outcome.injected == dict.fromkeys(RARE, 3)


def test_ten_commands_outlast_whatever_of_berth_is_killed(engine: OwnEngine) -> None:
    """One runner of two, all processes, and only the channels, with ten sessions at work."""
    seed = random.SystemRandom().randrange(2**32)
    killed = ("runner killed", "all killed", "channel killed")
    plan = Plan(seed=seed, faults=3, faults_per_round=3, sessions=10, only=killed)
    outcome = run(plan, engine=engine)
    assert outcome.is_good, "\n".join([report(outcome), *outcome.tally.violations])
    assert outcome.injected == dict.fromkeys(killed, 1)
    assert outcome.tally.calls_lost == 0
