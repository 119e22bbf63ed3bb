"""How long one session's command takes while another is abused: `python -m tests.bench.neighbours`.

Two containers with default limits, their channels in this one process, as in a server. One runs
`true` again and again; the other does what people fear. The floor is the same without Berth: a
child process of the host beside the abuse in a plain container with the same limits. Measured in
full, it writes docs/bench/neighbours.json. Only worth reading from a machine that does nothing
else.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from sessions.sandbox.base import Exec, ExecEnded, ExecRequest, Sandbox
from sessions.sandbox.limits import Limits
from sessions.sandbox.names import INSTALLATION_LABEL
from tests.bench import machine
from tests.bench.figures import TIMES, percentile, write_report
from tests.bench.sandboxes import IMAGE, backend, box, execute, timed_run

ABUSES = {
    "fork bomb": "bomb() { bomb | bomb & }; bomb; while :; do sleep 1; done",
    "memory hog": "while :; do python3 -c 'x = bytearray(2 * 10**9)'; done",
    "output": "while :; do head -c 1000000000 /dev/zero; done",
    "crumbs": "exec python3 -c 'import os\nwhile 1: os.write(1, b\"x\")'",
    "files": "n=0; while :; do n=$((n + 1)); mkdir -p d/$n; (cd d/$n; touch $(seq 1000)); done",
    "disk": "while :; do head -c 500000000 /dev/zero > big; sync; done",
    "busy": "for n in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait",
    "64 commands": "while :; do for n in $(seq 64); do seq 1000 & done; wait; done",
}
PAUSE_S = 0.005
SECONDS = 5.0
SETTLE_S = 0.5
TARGET = 2.0
LATEST = Path(__file__).resolve().parents[2] / "docs" / "bench" / "neighbours.json"
HEADINGS = (
    "abuse", "n", "quiet p50", "quiet p99", "during p50", "during p99", "ratio", "floor ratio",
    "target", "met",
)  # fmt: skip


@dataclass(frozen=True)
class Rounds:
    """Round trips in ms."""

    quiet: Sequence[float]
    during: Sequence[float]

    def ratio(self) -> float:
        return percentile(self.during, 0.99) / percentile(self.quiet, 0.99)


@dataclass(frozen=True)
class Neighbour:
    """Of `true` in one session, in ms: alone, and during the abuse of another. `ratio` is that of
    the p99, `floor_ratio` the same of the floor."""

    abuse: str
    n: int
    quiet_p50: float
    quiet_p99: float
    during_p50: float
    during_p99: float
    ratio: float
    floor_ratio: float
    target: str
    met: bool

    @classmethod
    def of(cls, abuse: str, ours: Rounds, floor: Rounds) -> "Neighbour":
        ratio = ours.ratio()
        return cls(
            abuse=abuse,
            n=len(ours.during),
            quiet_p50=round(percentile(ours.quiet, 0.5), 2),
            quiet_p99=round(percentile(ours.quiet, 0.99), 2),
            during_p50=round(percentile(ours.during, 0.5), 2),
            during_p99=round(percentile(ours.during, 0.99), 2),
            ratio=round(ratio, 2),
            floor_ratio=round(floor.ratio(), 2),
            target=f"p99 ≤ {TARGET:g} {TIMES} quiet",
            met=ratio <= TARGET,
        )

    def cells(self) -> tuple[str, ...]:
        *figures, _ = astuple(self)
        return (*map(str, figures), "yes" if self.met else "NO")


async def round_trips(sandbox: Sandbox, seconds: float) -> list[float]:
    """Of `true`, in ms."""
    found: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        await execute(sandbox, "true")
        found.append((time.perf_counter() - start) * 1000)
        await asyncio.sleep(PAUSE_S)
    return found


async def swallow(running: Exec) -> None:
    """Take the output in, as a runner does that stores it."""
    async for piece in running:
        if not isinstance(piece, ExecEnded):
            await running.ack(piece.stream, piece.offset + len(piece.data))


def host_rounds(seconds: float) -> list[float]:
    """Of `true` as a child process of the host, in ms."""
    found: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        found.append(timed_run(["true"]))
        time.sleep(PAUSE_S)
    return found


def measure_floor(abuse: str, seconds: float) -> Rounds:
    """A child process of the host without and with the abuse in a plain container."""
    limits = Limits()
    run = ["docker", "run", "--detach", "--rm", "--init", "--log-driver", "none"]
    run += ["--label", f"{INSTALLATION_LABEL}=neighbours", "--network", "none"]
    run += ["--memory", str(limits.memory_bytes), "--memory-swap", str(limits.memory_bytes)]
    run += ["--cpus", str(limits.cpus), "--pids-limit", str(limits.pids)]
    quiet = host_rounds(seconds)
    container = subprocess.check_output([*run, IMAGE, "bash", "-c", ABUSES[abuse]], text=True)
    try:
        time.sleep(SETTLE_S)
        during = host_rounds(seconds)
        inspect = ["docker", "inspect", "--format", "{{.State.Running}}", container.strip()]
        # Otherwise it was quiet again, and the floor none.
        assert subprocess.check_output(inspect, text=True) == "true\n"
        return Rounds(quiet, during)
    finally:
        subprocess.run(
            ["docker", "rm", "--force", container.strip()], capture_output=True, check=False
        )


async def measure(abuse: str, seconds: float) -> Rounds:
    """Round trips in a session without and with the abuse in another."""
    async with contextlib.AsyncExitStack() as stack:
        docker = backend(f"neighbours-{uuid.uuid4().hex[:8]}")
        stack.push_async_callback(docker.close)
        quiet_box = await stack.enter_async_context(box(docker, Limits()))
        other_box = await stack.enter_async_context(box(docker, Limits()))
        await round_trips(quiet_box.sandbox, 0.5)
        quiet = await round_trips(quiet_box.sandbox, seconds)
        request = ExecRequest(uuid.uuid4().hex, ("bash", "-c", ABUSES[abuse]), keep_log=False)
        running = await other_box.sandbox.exec(request)
        reading = asyncio.create_task(swallow(running))
        await asyncio.sleep(SETTLE_S)
        during = await round_trips(quiet_box.sandbox, seconds)
        assert not reading.done(), "the abuse ended by itself"
        await running.stop()
        await reading
    return Rounds(quiet, during)


def line(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(14) for cell in cells).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.neighbours", description=__doc__)
    parser.add_argument("abuses", nargs="*", help=f"of {', '.join(ABUSES)}; all by default")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement")
    arguments = parser.parse_args()
    if unknown := set(arguments.abuses) - set(ABUSES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    sys.stdout.write(line(HEADINGS))
    found = []
    for abuse in arguments.abuses or ABUSES:
        ours = asyncio.run(measure(abuse, arguments.seconds))
        found.append(Neighbour.of(abuse, ours, measure_floor(abuse, arguments.seconds)))
        sys.stdout.write(line(found[-1].cells()))
        sys.stdout.flush()
    if not arguments.abuses and arguments.seconds >= SECONDS:
        write_report(LATEST, machine.describe(), machine.commit(), found)


if __name__ == "__main__":
    main()
