import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest


@dataclass(frozen=True)
class Probe:
    port: int
    process: psutil.Popen

    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1e6


@pytest.fixture
def probe() -> Iterator[Probe]:
    process = psutil.Popen(
        [sys.executable, "-m", "tests.serve.probe_app"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield Probe(port=int(process.stdout.readline()), process=process)
        assert process.poll() is None, "the server died"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
