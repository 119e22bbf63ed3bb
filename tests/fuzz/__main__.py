"""Fuzz both ends of the guest protocol: `python -m tests.fuzz [--seconds N] [TARGET ...]`.

Each target runs in a process of its own, from its seeds and the inputs kept in `corpus/`. What
breaks is written to `var/fuzz/TARGET/`; it belongs into `regressions/`, where the test suite finds
it.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import TARGETS, Outcome, fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", default=TARGETS, help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    arguments = parser.parse_args()
    outcomes: list[Outcome] = []
    for target in arguments.targets:
        with tempfile.TemporaryDirectory(prefix="berth-fuzz-") as folder:
            outcomes.append(fuzz(target, arguments.seconds, Path(folder)))
        sys.stdout.write(f"{outcomes[-1]}\n")
    return 1 if any(outcome.is_crash for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
