"""`python -m tests.chaos`: break a working Berth on purpose, and judge what came of it.

Every choice follows the seed, which is printed first; the moments depend on the machine. Ends with
the counts, and with exit code 1 when anything was lost, doubled or run twice. A run of 200 or more
writes docs/bench/chaos.json.
"""

import argparse
import asyncio
import datetime as dt
import json
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from sessions.sandbox.engine_address import DEFAULT_SOCKET
from tests.bench import machine
from tests.chaos.engine import Engine, EngineFailedError, OwnEngine
from tests.chaos.run import Outcome, Plan, Run

LOG_CHARACTERS = 6000
WHOLE_FAULTS = 200
LATEST = Path(__file__).resolve().parents[2] / "docs" / "bench" / "chaos.json"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def start_engine(folder: Path, *, is_shared_enough: bool) -> Engine:
    """One of the run's own; where none can run, the one that is there if that is enough. Raises:
    EngineFailedError, OSError."""
    own = OwnEngine(folder)
    try:
        own.start()
    except (EngineFailedError, OSError) as error:
        own.stop()
        if not is_shared_enough:
            raise
        say(f"NO ENGINE OF ITS OWN, SO NO FAULT KILLS dockerd IN THIS RUN: {error}")
        return Engine(DEFAULT_SOCKET)
    except BaseException:
        own.stop()
        raise
    return own


def figures_of(outcome: Outcome) -> dict[str, int]:
    tally = outcome.tally
    return {
        "seed": outcome.plan.seed,
        "faults injected": outcome.injected.total(),
        "sessions": tally.sessions,
        "turns": tally.turns,
        "calls": tally.calls,
        "calls lost with their container": tally.calls_lost,
        "events": tally.events,
        "viewers' reconnects": tally.reconnects,
        "bytes checked": tally.bytes_checked,
        "bytes lost": tally.bytes_lost,
        "bytes doubled": tally.bytes_doubled,
        "commands run twice": tally.run_twice,
        "violations": len(tally.violations),
        "seconds": round(outcome.seconds),
    }


def as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "machine": machine.describe(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": machine.commit(),
        **{name.replace("'", "").replace(" ", "_"): n for name, n in figures_of(outcome).items()},
        "by_fault": dict(outcome.injected.most_common()),
    }


def report(outcome: Outcome) -> str:
    lines = [f"  {count:>4}  {name}" for name, count in outcome.injected.most_common()]
    figures = figures_of(outcome)
    lines += [
        f"{name}: {value:,}" if name != "seed" else f"seed: {value}"
        for name, value in figures.items()
    ]
    return "\n".join(lines)


def run(
    plan: Plan,
    *,
    engine: Engine | None = None,
    is_engine_shared: bool = False,
    keep: bool = False,
) -> Outcome:
    """In a temporary folder of its own, which is kept on request when something was wrong. Without
    an engine it starts one, and ends it."""
    folder = Path(tempfile.mkdtemp(prefix="berth-chaos-"))
    is_kept = False
    say(f"seed {plan.seed}: {plan.faults} faults; again with --seed {plan.seed}")
    own = None
    if engine is None:
        engine = own = start_engine(folder, is_shared_enough=is_engine_shared)
    one = Run(plan, engine, folder, say)
    try:
        outcome = asyncio.run(one.run())
        is_kept = keep and not outcome.is_good
        if not outcome.is_good:
            say(one.installation.log_tail(LOG_CHARACTERS))
        say(report(outcome))
        for violation in outcome.tally.violations:
            say(f"VIOLATION: {violation}")
    except Exception:
        is_kept = keep
        say(one.installation.log_tail(LOG_CHARACTERS))
        say(report(one.outcome))
        raise
    else:
        return outcome
    finally:
        if own is not None:
            own.stop()
        if is_kept:
            say(f"database and logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=WHOLE_FAULTS)
    parser.add_argument("--faults-per-round", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--minutes", type=float, help="no new fault after this long")
    parser.add_argument(
        "--shared-engine",
        action="store_true",
        help="go on without faults that kill dockerd where no engine of its own can be started",
    )
    parser.add_argument("--output", type=Path, help="where to write what came of it, as JSON")
    parser.add_argument("--only", action="append", help="name of a fault; again for more")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = Plan(
        seed=options.seed,
        faults=options.faults,
        faults_per_round=options.faults_per_round,
        sessions=options.sessions,
        minutes=options.minutes,
        only=tuple(options.only or ()),
    )
    outcome = run(plan, is_engine_shared=options.shared_engine, keep=True)
    path = options.output or (LATEST if plan.faults >= WHOLE_FAULTS and not plan.only else None)
    if path is not None:
        path.write_text(json.dumps(as_json(outcome), indent=2) + "\n")
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
