"""`python -m tests.chaos`: break a working Berth on purpose, and judge what came of it.

Every choice follows the seed, which is printed first; the moments depend on the machine. Ends with
the counts, and with exit code 1 when anything was lost, doubled or run twice.
"""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from sessions.sandbox.engine_address import DEFAULT_SOCKET
from tests.chaos.engine import Engine, EngineFailedError, OwnEngine
from tests.chaos.run import Outcome, Plan, Run

LOG_CHARACTERS = 6000


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def start_engine(folder: Path) -> Engine:
    """One of the run's own where it can run, else the one that is there."""
    own = OwnEngine(folder)
    try:
        own.start()
    except (EngineFailedError, OSError) as error:
        own.stop()
        say(f"NO ENGINE OF ITS OWN, SO NO FAULT KILLS dockerd IN THIS RUN: {error}")
        return Engine(DEFAULT_SOCKET)
    except BaseException:
        own.stop()
        raise
    return own


def report(outcome: Outcome) -> str:
    tally = outcome.tally
    lines = [f"  {count:>4}  {name}" for name, count in outcome.injected.most_common()]
    figures = {
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
    lines += [
        f"{name}: {value:,}" if name != "seed" else f"seed: {value}"
        for name, value in figures.items()
    ]
    return "\n".join(lines)


def run(plan: Plan, *, engine: Engine | None = None, keep: bool = False) -> Outcome:
    """In a temporary folder of its own, which is kept on request when something was wrong. Without
    an engine it starts one, and ends it."""
    folder = Path(tempfile.mkdtemp(prefix="berth-chaos-"))
    is_kept = False
    say(f"seed {plan.seed}: {plan.faults} faults; again with --seed {plan.seed}")
    own = None
    if engine is None:
        engine = own = start_engine(folder)
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
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--faults-per-round", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--minutes", type=float, help="no new fault after this long")
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
    sys.exit(0 if run(plan, keep=True).is_good else 1)


if __name__ == "__main__":
    main()
