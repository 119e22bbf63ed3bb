"""A real `manage.py serve` as a child process, on a free port and a database of its own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(r"Berth is at (?P<url>\S+) — sign in: (?P<link>\S+)")
START_TIMEOUT_S = 150
"""A busy machine compiles, imports and migrates slowly; a server that dies is seen at once."""


def berth_environment(var_dir: Path, installation: str, **extra: str) -> dict[str, str]:
    """This process's environment without any setting of Berth's, then the given ones."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BERTH_", "OPENAI_", "DJANGO_")) and name not in {"PORT", "BIND"}
    }
    return kept | {
        "BERTH_VAR_DIR": str(var_dir),
        "BERTH_INSTALLATION_ID": installation,
        "BERTH_MODEL": "scripted",
        "BERTH_DEFAULT_IMAGE": "berth/sandbox-slim",
        "BERTH_GUEST_IMAGE": "berth/sandbox-slim",
        **extra,
    }


@lru_cache(maxsize=1)
def migrated_database() -> bytes:
    """Of a new installation. To make one takes most of the time of starting a server."""
    with tempfile.TemporaryDirectory() as folder:
        environment = berth_environment(Path(folder), "test-migrated")
        done = manage(environment, "migrate", "--verbosity", "0")
        assert done.returncode == 0, done.stderr
        return (Path(folder) / "db.sqlite3").read_bytes()


def migrate(environment: Mapping[str, str]) -> None:
    folder = Path(environment["BERTH_VAR_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "db.sqlite3").write_bytes(migrated_database())


def manage(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class ServerProcess:
    """Start with `start`, which waits for the sign-in line. Its output is kept in `log`."""

    def __init__(self, environment: Mapping[str, str], *, port: int = 0) -> None:
        self.environment = environment
        self.port = port
        self.url = ""
        self.link = ""
        self._lines: list[str] = []
        self._is_ready = threading.Event()

    @property
    def log(self) -> str:
        return "".join(self._lines)

    def start(self) -> "ServerProcess":
        self._is_ready.clear()
        self.process = psutil.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(self.port)],
            cwd=ROOT,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._is_ready.wait(START_TIMEOUT_S) or not self.url:
            self.kill()
            raise AssertionError(f"the server did not start:\n{self.log}")
        return self

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.append(line)
            if found := READY.search(line):
                self.url, self.link = found["url"], found["link"]
                self.port = int(self.url.rsplit(":", 1)[1])
                self._is_ready.set()
        self._is_ready.set()

    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1e6

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to end; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = int(self.process.wait(15))
        self._close()
        return code

    def kill(self) -> None:
        """End it at once; nothing happens when it has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(15)
        self._close()

    def _close(self) -> None:
        self._reader.join(5)
        self.process.stdout.close()
