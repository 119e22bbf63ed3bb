"""Programs of others, written in JavaScript, that the tests run against Berth."""

import os
import shutil

from scripts import stamps
from scripts.host import ROOT, VAR, apt_install, run_shown, say

MANIFEST = ROOT / "tests" / "clients"
CLIENTS = VAR / "clients"
FILES = ("package.json", "package-lock.json")


def ensure_clients() -> None:
    """Node.js, and what the lock file says in `CLIENTS`. Raises: SetupError."""
    if not (shutil.which("node") and shutil.which("npm")):
        say("no Node.js is installed; the tests of JavaScript clients need it")
        apt_install("nodejs", "npm")
    key = stamps.content_key([MANIFEST / name for name in FILES])
    if stamps.is_current("clients", key) and (CLIENTS / "node_modules").is_dir():
        return
    say("installing the JavaScript clients of package-lock.json")
    CLIENTS.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(MANIFEST / name, CLIENTS / name)
    # Nothing of theirs runs while it is installed.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run_shown([*command, "--prefix", os.fspath(CLIENTS)])
    stamps.mark("clients", key)
