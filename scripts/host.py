"""What this machine is, and running its programs with progress. Standard library only."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("BERTH_VAR_DIR") or ROOT / "var")
VENV_PYTHON = ROOT / ".venv" / "bin" / "python"
PROGRESS_EVERY_S = 5.0


class SetupError(Exception):
    """Set-up cannot go on; the message says what a person can do, if possible as a command."""


def say(text: str) -> None:
    sys.stdout.write(f"berth: {text}\n")
    sys.stdout.flush()


def is_root() -> bool:
    return os.geteuid() == 0


def runs_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def distributions(os_release: Path = Path("/etc/os-release")) -> frozenset[str]:
    """This distribution's id and those it is like, such as `{"ubuntu", "debian"}`."""
    try:
        text = os_release.read_text(errors="replace")
    except OSError:
        return frozenset()
    found = re.findall(r"^(?:ID|ID_LIKE)=(.*)$", text, re.MULTILINE)
    return frozenset(word for value in found for word in value.strip("\"'").lower().split())


def is_debian_like() -> bool:
    return "debian" in distributions() and shutil.which("apt-get") is not None


def run_logged(
    argv: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Run a long step: all of its output goes to `log`, a line now and then to the terminal.

    Raises: SetupError with the last lines.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    say(f"$ {shlex.join(argv)}")
    last_lines: list[str] = []
    said_at = time.monotonic()
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
    )
    with log.open("ab") as file, process:
        assert process.stdout is not None
        for raw in process.stdout:
            file.write(raw)
            line = raw.decode(errors="replace").rstrip()
            last_lines = [*last_lines[-14:], line]
            if time.monotonic() - said_at >= PROGRESS_EVERY_S:
                said_at = time.monotonic()
                say(f"  {line[:100]}")
    if process.returncode != 0:
        details = "\n".join(last_lines)
        raise SetupError(f"{argv[0]} failed (all of its output is in {log}):\n{details}")


def run_shown(argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
    """Run a step that shows its own progress. Raises: SetupError."""
    result = subprocess.run(argv, cwd=ROOT, env={**os.environ, **(environment or {})}, check=False)
    if result.returncode != 0:
        raise SetupError(f"`{shlex.join(argv)}` failed with exit code {result.returncode}.")


def manage(*arguments: str) -> None:
    run_shown([str(VENV_PYTHON), "manage.py", *arguments])


def apt_install(*packages: str) -> None:
    """Raises: SetupError, with the command to run where this user may not."""
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if not is_root() or not is_debian_like():
        raise SetupError(f"Missing here: {' '.join(packages)}. Run: sudo {shlex.join(command)}")
    log = VAR / "log" / "apt.log"
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    run_logged(["apt-get", "update"], log=log, environment=environment)
    run_logged(command, log=log, environment=environment)
