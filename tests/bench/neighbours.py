"""How long one session's command takes while another is abused: `python -m tests.bench.neighbours`.

Two containers with default limits, their channels in this one process, as in a server. One runs
`true` again and again; the other does what people fear. Prints the p99 of both in ms. Only worth
reading from a machine that does nothing else.
"""

import argparse
import asyncio
import contextlib
import sys
import time
import uuid
from collections.abc import Sequence

from sessions.sandbox.base import Exec, ExecEnded, ExecRequest, Sandbox
from sessions.sandbox.limits import Limits
from tests.bench.figures import percentile
from tests.bench.sandboxes import backend, box, execute

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


async def measure(abuse: str, seconds: float) -> tuple[list[float], list[float]]:
    """Round trips without and with the abuse beside them."""
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
        await asyncio.sleep(0.5)
        during = await round_trips(quiet_box.sandbox, seconds)
        await running.stop()
        await reading
    return quiet, during


def line(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(14) for cell in cells).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.neighbours")
    parser.add_argument("abuses", nargs="*", default=list(ABUSES))
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    arguments = parser.parse_args()
    sys.stdout.write(
        line(("abuse", "quiet p50", "quiet p99", "during p50", "during p99", "ratio"))
    )
    for abuse in arguments.abuses:
        quiet, during = asyncio.run(measure(abuse, arguments.seconds))
        figures = [percentile(of, share) for of in (quiet, during) for share in (0.5, 0.99)]
        ratio = f"{figures[3] / figures[1]:.1f}"
        sys.stdout.write(line((abuse, *(f"{figure:.1f}" for figure in figures), ratio)))


if __name__ == "__main__":
    main()
