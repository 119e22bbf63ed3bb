"""With CI=true a skipped Docker, browser or model test fails the run; elsewhere it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.host import ROOT

pytestmark = pytest.mark.slow

SUITE = """
import pytest

@pytest.mark.docker
@pytest.mark.skipif({docker}, reason="no engine")
def test_container():
    pass

@pytest.mark.skipif({plain}, reason="another platform")
def test_plain():
    pass

@pytest.mark.docker
@pytest.mark.xfail(reason="known gap")
def test_known_gap():
    assert False

def test_that_passes():
    pass
"""


def run_suite(folder: Path, *, docker: bool, plain: bool, ci: str) -> tuple[int, str]:
    (folder / "test_suite.py").write_text(SUITE.format(docker=docker, plain=plain))
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    docker: needs an engine\n")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.no_silent_skips", "-p", "no:django"],
        cwd=folder,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout


@pytest.mark.parametrize(
    ("docker", "plain", "ci", "expected"),
    [
        (True, False, "true", 1),
        (True, False, "", 0),
        (False, True, "true", 0),
        (False, False, "true", 0),
    ],
)
def test_only_a_guarded_skip_in_ci_fails(
    tmp_path: Path, docker: bool, plain: bool, ci: str, expected: int
) -> None:
    status, output = run_suite(tmp_path, docker=docker, plain=plain, ci=ci)
    assert status == expected, output
    assert ("yet skipped: test_suite.py::test_container" in output) == bool(expected)


def test_the_summary_stays_the_last_line(tmp_path: Path) -> None:
    _, output = run_suite(tmp_path, docker=True, plain=False, ci="true")
    assert "passed" in output.strip().splitlines()[-1]
