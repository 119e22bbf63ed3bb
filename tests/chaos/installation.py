"""The processes of one Berth under test: a server with agents, or one without beside two runners."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import psutil

from tests.serve.server_process import ROOT, ServerProcess, berth_environment, manage

Topology = Literal["one process", "two runners"]
MAX_RUNNING_TURNS = 16
STARTED = "Agents are running."
START_TIMEOUT_S = 150.0


class AgentsProcess:
    """A `manage.py runagents` as a child process; its output goes to a file."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self.process: psutil.Popen | None = None

    def start(self) -> None:
        begins_at = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            process = self.process = psutil.Popen(
                [sys.executable, "manage.py", "runagents"],
                cwd=ROOT,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while STARTED not in self._log.read_text(errors="replace")[begins_at:]:
            if time.monotonic() > deadline or process.poll() is not None:
                raise AssertionError(f"runagents did not start:\n{self.log[-3000:]}")
            time.sleep(0.1)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def kill(self) -> None:
        """Nothing happens when it has ended, or never began."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(15)


class Installation:
    """Every process can be killed and started again; the port and the database stay."""

    def __init__(
        self,
        folder: Path,
        name: str,
        docker_host: str,
        *,
        max_running_turns: int = MAX_RUNNING_TURNS,
    ) -> None:
        self.name = name
        self._folder = folder
        self._environment = berth_environment(
            folder,
            name,
            DOCKER_HOST=docker_host,
            BERTH_MAX_RUNNING_TURNS=str(max_running_turns),
            BERTH_SCRIPTED_DELAY_S="0",
        )
        self.server = ServerProcess(self._environment)
        self.runners: list[AgentsProcess] = []
        self._is_started = False

    @property
    def database(self) -> Path:
        return self._folder / "db.sqlite3"

    def migrate(self) -> None:
        result = manage(self._environment, "migrate", "--verbosity", "0")
        if result.returncode:
            raise AssertionError(result.stderr)

    def start(self, topology: Topology) -> None:
        self._is_started = True
        has_runners = topology == "two runners"
        self.server.environment = self._environment | {"BERTH_AGENTS": "0" if has_runners else "1"}
        self.runners = [
            AgentsProcess(self._environment, self._folder / f"runner-{number}.log")
            for number in ((1, 2) if has_runners else ())
        ]
        self.start_all()

    @property
    def agents(self) -> list[psutil.Popen]:
        """The processes that run turns."""
        if self.runners:
            return [runner.process for runner in self.runners if runner.process is not None]
        return [self.server.process]

    @property
    def processes(self) -> int:
        """Each may have a channel to each container: a server without agents serves files."""
        return 1 + len(self.runners)

    def kill_all(self) -> None:
        self.server.kill()
        for runner in self.runners:
            runner.kill()

    def start_all(self) -> None:
        """All at once: each spends its first seconds on importing."""
        starts: list[Callable[[], object]] = [self.server.start]
        starts += [runner.start for runner in self.runners]
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(start) for start in starts]:
                started.result()

    def stop(self) -> None:
        """Idempotent, and right whatever has been started."""
        if self._is_started:
            self.kill_all()

    def log_tail(self, characters: int = 6000) -> str:
        parts = [("server", self.server.log)]
        parts += [(f"runner {n}", runner.log) for n, runner in enumerate(self.runners, 1)]
        return "\n".join(f"--- log of the {name}\n{log[-characters:]}" for name, log in parts)
