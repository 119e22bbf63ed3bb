"""A short chaos run, so that the suite meets each part of the harness and some of the faults."""

import random

import pytest

from tests.chaos.__main__ import report, run
from tests.chaos.run import Plan

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]


def test_ten_faults_lose_nothing() -> None:
    seed = random.SystemRandom().randrange(2**32)
    outcome = run(Plan(seed=seed, faults=10, faults_per_round=5, sessions=4))
    assert outcome.is_good, "\n".join([report(outcome), *outcome.tally.violations])
    assert outcome.injected.total() == 10
    assert outcome.tally.sessions == 8
    assert outcome.tally.bytes_checked > 1_000_000


@pytest.mark.parametrize(
    "fault",
    ["killed while one is archived", "killed while one is restored", "containers replaced"],
)
def test_a_fault_that_is_rarely_chosen_loses_nothing(fault: str) -> None:
    """Three times, with two runners."""
    seed = random.SystemRandom().randrange(2**32)
    outcome = run(Plan(seed=seed, faults=3, faults_per_round=3, sessions=3, only=(fault,)))
    assert outcome.is_good, "\n".join([report(outcome), *outcome.tally.violations])
    assert outcome.injected == {fault: 3}
