"""A Chromium for the browser tests."""

import shutil

from scripts.host import VENV_PYTHON, apt_install, distributions, run_shown, say

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core")


def ensure_chromium() -> None:
    """Raises: SetupError with the exact command where it may not help itself."""
    if any(shutil.which(program) for program in PROGRAMS):
        return
    say("no Chromium is installed; the browser tests need one")
    if "ubuntu" in distributions():
        # Ubuntu's package is a snap, which needs systemd; Playwright brings a browser of its own.
        run_shown([str(VENV_PYTHON), "-m", "playwright", "install", "--with-deps", "chromium"])
    else:
        apt_install(*PACKAGES)
