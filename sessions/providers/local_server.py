"""The process that holds the embedded model: `python -m sessions.providers.local_server`.

Its first line of input is the configuration as JSON, its line of output `READY <address>`. It ends
when its input does, so it cannot outlive whoever started it, not even after a `kill -9`.
"""

import dataclasses
import json
import os
import sys
import threading
from dataclasses import dataclass
from typing import Any, TextIO

import xllamacpp  # type: ignore[import-untyped]  # an extension without stubs

READY = "READY "


@dataclass(frozen=True, slots=True)
class LocalServerConfig:
    path: str
    api_key: str
    """Other users of this machine reach loopback as well; they do not have this."""
    context_tokens: int = 8192
    """Of each conversation."""
    parallel: int = 2
    """Requests answered at once; more wait in line."""
    threads: int = 2

    def to_line(self) -> str:
        return json.dumps(dataclasses.asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> "LocalServerConfig":
        return cls(**json.loads(line))


def start(config: LocalServerConfig) -> Any:  # the extension ships no types
    params = xllamacpp.CommonParams()
    params.model.path = config.path
    params.model_alias = {"local"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [config.api_key]
    params.n_ctx = config.context_tokens * config.parallel
    params.n_parallel = config.parallel
    params.cpuparams.n_threads = config.threads
    params.cpuparams_batch.n_threads = config.threads
    params.ui = False
    return xllamacpp.Server(params)


def _end_with(stream: TextIO) -> None:
    while stream.readline():
        pass
    # The server's own threads are not to be waited for.
    os._exit(0)


def main() -> None:
    config = LocalServerConfig.from_line(sys.stdin.readline())
    threading.Thread(target=_end_with, args=(sys.stdin,), daemon=True).start()
    server = start(config)
    sys.stdout.write(f"{READY}{server.listening_address}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
