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
