"""`python -m tests.api.fuzz --examples 1000 --seed 7`"""

import argparse
import sys

from tests.api.fuzz.run import ALL_PHASES, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="for each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default=ALL_PHASES)
    options = parser.parse_args()
    code, found = run(examples=options.examples, seed=options.seed, phases=options.phases)
    sys.stdout.write(found + "\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
