"""Inputs that once broke an end, and a short run of the fuzzer itself."""

import platform
import sys

import pytest

from tests.fuzz.campaign import TARGETS, fuzz, replay, stored_inputs

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the fuzzer is published for Linux on x86_64 alone",
)
SMOKE_S = 4
LEAST_EXECUTIONS = 200
LEAST_EDGES = {"host_end": 250, "guest_end": 350, "pieces": 50}
"""Far below what the seeds alone reach: an end that is no longer reached is no longer tested."""


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_what_is_kept_breaks_nothing(target, tmp_path):
    outcome = replay(target, tmp_path)
    assert not outcome.is_crash, outcome
    assert outcome.executions > len(stored_inputs(target)) > 0, outcome


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_the_fuzzer_finds_nothing_in_a_few_seconds(target, tmp_path):
    outcome = fuzz(target, SMOKE_S, tmp_path)
    assert not outcome.is_crash, outcome
    assert outcome.executions >= LEAST_EXECUTIONS, outcome
    assert outcome.edges >= LEAST_EDGES[target], outcome
