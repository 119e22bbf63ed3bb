"""Makes ready what a Makefile target needs: `python3 -m scripts.prepare STEP...`.

Every step looks first and does nothing when all is there already.
"""

import os
import sys
from collections.abc import Callable

from scripts import engine_api, stamps
from scripts.chromium import ensure_chromium
from scripts.clients import ensure_clients
from scripts.engine import ensure_engine
from scripts.environment import ensure_environment
from scripts.host import ROOT, VAR, SetupError, manage, say

IMAGES = ("berth/sandbox-slim:latest", "berth/sandbox:latest")


def ensure_images() -> None:
    sources = ROOT / "sessions" / "sandbox"
    recipe = stamps.content_key([*sources.glob("image/**/*"), *sources.glob("guest/*.py")])

    def key() -> str:
        return "\n".join([recipe, *(engine_api.image_id(name) for name in IMAGES)])

    if stamps.is_current("images", key()):
        return
    say("building the sandbox images (about two minutes the first time)")
    manage("build_images")
    stamps.mark("images", key())


def ensure_database() -> None:
    """Migrate and make the first administrator; a database elsewhere is looked at each time."""
    migrations = stamps.content_key((ROOT / "sessions" / "migrations").glob("*.py"))
    url = os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE", "")
    file = VAR / "db.sqlite3"

    def key() -> str:
        return f"{migrations}\n{file.stat().st_ino}"

    if not url and file.exists() and stamps.is_current("database", key()):
        return
    manage("migrate", "--noinput", "--verbosity", "0")
    manage("ensure_admin", "--verbosity", "0")
    if not url:
        stamps.mark("database", key())


def ensure_runtime() -> None:
    ensure_environment(dev=False)


def ensure_tools() -> None:
    ensure_environment(dev=True)


STEPS: dict[str, Callable[[], None]] = {
    "runtime": ensure_runtime,
    "tools": ensure_tools,
    "engine": ensure_engine,
    "images": ensure_images,
    "database": ensure_database,
    "chromium": ensure_chromium,
    "clients": ensure_clients,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in STEPS]
    if unknown or not names:
        say(f"steps are: {' '.join(STEPS)}")
        return 2
    try:
        for name in names:
            STEPS[name]()
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
