"""`python -m tests.soak`: many sessions, many viewers, minutes; reports what was lost and how late.

The whole plan writes docs/bench/soak.json; a smaller one writes only where `--output` says. Exit
code 1 when an event was lost or doubled, or a turn did not complete.
"""

import argparse
import dataclasses
import datetime as dt
import json
import signal
import sys
import tempfile
from pathlib import Path

from sessions.sandbox.engine_address import DEFAULT_SOCKET
from tests.bench import machine
from tests.chaos import containers
from tests.chaos.engine import Engine
from tests.soak.files import raise_file_limit
from tests.soak.run import Figures, Plan, Soak

LATEST = Path(__file__).resolve().parents[2] / "docs" / "bench" / "soak.json"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def soak(plan: Plan) -> Figures:
    engine = Engine(DEFAULT_SOCKET)
    with tempfile.TemporaryDirectory(prefix="berth-soak-") as folder:
        one = Soak(plan, engine, Path(folder), say)
        try:
            return one.run()
        except Exception:
            say(one.installation.log_tail())
            raise
        finally:
            one.installation.stop()
            containers.remove_all(engine, one.installation.name)


def write(figures: Figures, path: Path) -> None:
    report = {
        "machine": machine.describe(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": machine.commit(),
        **dataclasses.asdict(figures),
    }
    path.write_text(json.dumps(report, indent=2) + "\n")


def main() -> None:
    whole = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--sessions", type=int, default=whole.sessions)
    parser.add_argument("--viewers", type=int, default=whole.viewers)
    parser.add_argument("--minutes", type=float, default=whole.minutes)
    parser.add_argument("--output", type=Path, help="write the figures here")
    options = parser.parse_args()
    if options.viewers % options.sessions:
        parser.error("as many viewers for each session: a multiple of the sessions")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    raise_file_limit()
    plan = Plan(options.sessions, options.viewers, options.minutes)
    figures = soak(plan)
    say(json.dumps(dataclasses.asdict(figures), indent=2))
    if options.output or plan == whole:
        write(figures, options.output or LATEST)
    sys.exit(0 if figures.is_good else 1)


if __name__ == "__main__":
    main()
