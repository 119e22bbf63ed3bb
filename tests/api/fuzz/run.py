"""Asks a server of its own everything that its document allows for, and what it does not."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openai

from tests.api.fuzz.seeds import make_seeds
from tests.serve.server_process import ROOT, berth_environment

ALL_PHASES = "examples,coverage,fuzzing,stateful"
CHECKS_LEFT_OUT = "positive_data_acceptance"
"""Much that a schema allows is refused all the same: an id that is not there, an answer without its
call, a model that takes no pictures."""
_READY = re.compile(r"Berth is at (?P<url>\S+)")


@dataclass(frozen=True, slots=True)
class FuzzServer:
    url: str
    key: str
    log: Path


@contextmanager
def fuzz_server(folder: Path) -> Iterator[FuzzServer]:
    """Over a database and files in `folder`; guests are child processes."""
    extra = {"BERTH_SCRIPTED_DELAY_S": "0", "BERTH_POOL": "off"}
    environment = berth_environment(folder / "var", "test-fuzz", **extra)
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.api.fuzz.server"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
        assert process.stdout is not None
        try:
            key = process.stdout.readline().strip()
            ready = _READY.search(process.stdout.readline())
            assert ready is not None, log.read_text()
            yield FuzzServer(ready["url"], key, log)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


async def _seeds(api: str, key: str) -> dict[str, str]:
    async with openai.AsyncOpenAI(base_url=api, api_key=key, max_retries=0) as client:
        return await make_seeds(client)


def run(*, examples: int, seed: int, phases: str = ALL_PHASES) -> tuple[int, str]:
    """The exit code of schemathesis, and what it found; with the server's own failures behind."""
    with tempfile.TemporaryDirectory() as folder, fuzz_server(Path(folder)) as server:
        api = f"{server.url}/v1"
        seeds = asyncio.run(_seeds(api, server.key))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{api}/openapi.json"),
                *("--url", api, "--header", f"Authorization: Bearer {server.key}"),
                *("--checks", "all", "--exclude-checks", CHECKS_LEFT_OUT),
                *("--phases", phases, "--max-examples", str(examples), "--seed", str(seed)),
                *("--generation-database", "none", "--request-timeout", "60"),
                *("--suppress-health-check", "all", "--continue-on-failure", "--no-color"),
            ],
            cwd=folder,  # it keeps what it found where it is run
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "BERTH_FUZZ_SEEDS": json.dumps(seeds),
                "SCHEMATHESIS_HOOKS": "tests.api.fuzz.hooks",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + _failures(server.log.read_text())


def _failures(log: str) -> str:
    """Without the key, which is in none of them."""
    lines = log.splitlines()
    return "\n".join(
        line for line in lines if " ERROR " in line or re.match(r"[\w.]+(Error|Exception)\b", line)
    )
