import contextlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import remove_all_of
from tests.serve.server_process import ServerProcess, berth_environment, migrate


@dataclass(frozen=True)
class Probe:
    port: int
    process: psutil.Popen
    spool_dir: Path

    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1e6

    def spooled_bytes(self) -> int:
        """What the server keeps in files without a name in `spool_dir`."""
        size = 0
        for number in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if number.readlink().is_relative_to(self.spool_dir):
                    size += number.stat().st_size
        return size


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    process = psutil.Popen(
        [sys.executable, "-m", "tests.serve.probe_app", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Probe(port=int(process.stdout.readline()), process=process, spool_dir=tmp_path)
        assert process.poll() is None, "the server died"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.fixture
def docker_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A real server with a real engine behind it, of an installation of its own."""
    with running_docker_server(tmp_path) as server:
        yield server


@contextlib.contextmanager
def running_docker_server(tmp_path: Path) -> Iterator[ServerProcess]:
    installation = f"test-{uuid.uuid4().hex[:8]}"
    environment = berth_environment(tmp_path / "var", installation, BERTH_SCRIPTED_DELAY_S="0")
    migrate(environment)
    server = ServerProcess(environment).start()
    try:
        yield server
    finally:
        server.kill()
        remove_all_of(installation)
