"""Run libFuzzer on a target for a time, and read what it says of it."""

import importlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

TARGETS = ("host_end", "guest_end", "pieces")
HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
REGRESSIONS = HERE / "regressions"
FOUND = HERE.parents[1] / "var" / "fuzz"
MAX_INPUT_BYTES = 8192
MEMORY_MB = 512
"""Of the target's process; past it libFuzzer reports a crash."""
ONE_INPUT_S = 10
FORKED = ("sh", "-c", '"$@"; exit $?', "sh")
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_PEAK = re.compile(r"stat::peak_rss_mb:\s+(\d+)")


@dataclass(frozen=True)
class Outcome:
    target: str
    executions: int
    edges: int
    features: int
    inputs: int
    """Kept, as each reached something new."""
    peak_mb: int
    is_crash: bool
    log: str

    @override
    def __str__(self) -> str:
        crash = "CRASH" if self.is_crash else "no crash"
        return (
            f"{self.target}: {self.executions:,} executions, {self.edges:,} edges, "
            f"{self.features:,} features, {self.inputs} inputs kept, peak {self.peak_mb} MB, "
            f"{crash}" + (f"\n{self.log[-6000:]}" if self.is_crash else "")
        )


def fuzz(target: str, seconds: int, folder: Path) -> Outcome:
    """`folder` is for the inputs that libFuzzer makes up on its way."""
    seeds = folder / "seeds"
    grown = folder / "grown"
    found = FOUND / target
    for place in (seeds, grown, found):
        place.mkdir(parents=True, exist_ok=True)
    write_seeds(target, seeds)
    options = [
        f"-max_total_time={seconds}", f"-max_len={MAX_INPUT_BYTES}", "-print_final_stats=1",
        f"-rss_limit_mb={MEMORY_MB}", f"-timeout={ONE_INPUT_S}", f"-artifact_prefix={found}/",
    ]  # fmt: skip
    return _outcome(target, _drive(target, *options, grown, seeds, timeout_s=seconds + 120))


def replay(target: str, folder: Path) -> Outcome:
    """What is stored, each input once, in `folder`."""
    write_seeds(target, folder)
    options = ["-runs=0", "-print_final_stats=1", f"-artifact_prefix={folder}/"]
    return _outcome(target, _drive(target, *options, folder))


def _drive(
    target: str, *words: str | Path, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # A child of a child: the kernel counts what whoever starts a process ever took to that
        # process as well, and a whole test run takes more than a target may.
        [*FORKED, sys.executable, "-m", "tests.fuzz.drive", target, *words],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def write_seeds(target: str, folder: Path) -> None:
    for number, seed in enumerate(importlib.import_module(f"tests.fuzz.targets.{target}").SEEDS):
        (folder / f"seed-{number}").write_bytes(seed)
    for kept in stored_inputs(target):
        shutil.copy(kept, folder / f"{kept.parent.parent.name}-{kept.name}")


def stored_inputs(target: str) -> list[Path]:
    """Recorded from real traffic, or a crash of the past."""
    return sorted((CORPUS / target).glob("*")) + sorted((REGRESSIONS / target).glob("*"))


def _outcome(target: str, done: subprocess.CompletedProcess[str]) -> Outcome:
    log = done.stderr + done.stdout
    coverage = _COVERAGE.findall(log)
    edges, features, inputs = (int(n) for n in coverage[-1]) if coverage else (0, 0, 0)
    return Outcome(
        target=target,
        executions=_number(_EXECUTIONS, log),
        edges=edges,
        features=features,
        inputs=inputs,
        peak_mb=_number(_PEAK, log),
        is_crash=done.returncode != 0,
        log=log,
    )


def _number(pattern: re.Pattern[str], log: str) -> int:
    found = pattern.search(log)
    return int(found.group(1)) if found else 0
