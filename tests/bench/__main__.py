"""`python -m tests.bench`: measure, print the table, write docs/bench/latest.json and .svg.

Every row measures its floor in the same run, in turns with ours, so that ratios hold on a machine
that others use as well. `--only NAME` measures one row and writes nothing; `--quick` does less.
"""

import argparse
import asyncio
import importlib
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import machine
from tests.bench.bench import bench
from tests.bench.figures import Report, Row, table
from tests.bench.plot import write_plot

ROWS = (
    "exec_round_trip",
    "start_from_pool",
    "start_cold",
    "output_to_socket",
    "parallel_streams",
    "terminal_echo",
    "flood",
    "stop_tree",
    "reconnect",
    "download",
    "archive_tar",
    "archive_zip",
    "idle_memory",
)
ROW_TIMEOUT_S = 360
LATEST = Path(__file__).resolve().parents[2] / "docs" / "bench" / "latest.json"


logger = logging.getLogger(__name__)


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


async def measure_all(names: Sequence[str], *, is_quick: bool) -> Report:
    report = Report(machine=machine.describe(), commit=machine.commit())
    async with bench(is_quick=is_quick) as context:
        for name in names:
            say(f"measuring {name} …")
            start = time.monotonic()
            row = importlib.import_module(f"tests.bench.rows.{name}")
            try:
                async with asyncio.timeout(ROW_TIMEOUT_S):
                    report.rows.append(Row.of(name, await row.measure(context)))
            except Exception:
                # One row that fails must not cost the others; the run fails at its end.
                logger.exception("%s could not be measured", name)
            say(f"  {time.monotonic() - start:.1f} s")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=ROWS, help="may be given repeatedly")
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--output", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    # In their order: those that need no server beside them come before the first that starts one.
    names = tuple(name for name in ROWS if not options.only or name in options.only)
    report = asyncio.run(measure_all(names, is_quick=options.quick))
    sys.stdout.write(f"{report.machine}; commit {report.commit}\n{table(report.rows)}\n")
    for row in report.rows:
        if row.note:
            sys.stdout.write(f"{row.name}: {row.note}\n")
    if options.output:
        report.write(options.output)
    if len(report.rows) < len(names):
        sys.exit(1)
    if not (options.only or options.quick or options.output):
        report.write(LATEST)
        heading = f"Berth on {report.machine}; commit {report.commit}"
        write_plot(report.rows, heading, LATEST.with_suffix(".svg"))


if __name__ == "__main__":
    main()
