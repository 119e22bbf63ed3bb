"""Builds the sandbox images, each only when its recipe or its base changed."""

import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sessions.errors import ImageNotFoundError, SandboxError
from sessions.sandbox import names
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.image.base import Report, ensure_base

RECIPES = Path(__file__).parent
BUILD_SILENCE_S = 900
"""Longest wait for the next line of a build: unpacking and compiling may be silent."""
REPORT_EVERY_S = 5.0

RECIPE_FOLDERS = {names.SLIM_IMAGE: "slim", names.SANDBOX_IMAGE: "full"}
"""In the order of building: each image is the base of the next."""

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True, slots=True)
class BuiltImage:
    name: str
    size_bytes: int
    was_built: bool


async def build_images(
    docker: AsyncDocker, report: Report, *, slim_only: bool = False, rebuild: bool = False
) -> list[BuiltImage]:
    """Raises: EngineUnavailableError, SandboxError with the last lines of a failed build."""
    folders = {names.SLIM_IMAGE: "slim"} if slim_only else RECIPE_FOLDERS
    base = await ensure_base(docker, report, rebuild=rebuild)
    built = []
    for image, folder in folders.items():
        built.append(
            await _build_one(docker, report, image, RECIPES / folder, base, rebuild=rebuild)
        )
        base = image
    return built


async def _build_one(
    docker: AsyncDocker, report: Report, image: str, folder: Path, base: str, *, rebuild: bool
) -> BuiltImage:
    base_id = str((await docker.inspect_image(base))["Id"])
    recipe = recipe_hash(folder, base_id)
    is_current = (await _labels(docker, image)).get(names.RECIPE_LABEL) == recipe
    if rebuild or not is_current:
        progress = BuildProgress(image, report)
        context = _context(folder)
        await docker.call(
            lambda api: progress.follow(
                api.build(
                    fileobj=io.BytesIO(context),
                    custom_context=True,
                    tag=image,
                    rm=True,
                    forcerm=True,
                    nocache=rebuild,
                    decode=True,
                    network_mode="host",
                    buildargs={"BASE": base, **_proxies()},
                    labels={names.IMAGE_LABEL: "1", names.RECIPE_LABEL: recipe},
                    use_config_proxy=False,
                )
            ),
            timeout_s=BUILD_SILENCE_S,
        )
    size = int((await docker.inspect_image(image))["Size"])
    return BuiltImage(image, size, was_built=rebuild or not is_current)


async def _labels(docker: AsyncDocker, image: str) -> dict[str, str]:
    try:
        found = await docker.inspect_image(image)
    except ImageNotFoundError:
        return {}
    return found["Config"]["Labels"] or {}


def recipe_hash(folder: Path, base_id: str) -> str:
    digest = hashlib.sha256(base_id.encode())
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _context(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return buffer.getvalue()


def _proxies() -> dict[str, str]:
    """The engine knows these arguments without a declaration and keeps them out of the image."""
    found = {
        name: os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXY_VARIABLES
    }
    return {name: value for name, value in found.items() if value}


class BuildProgress:
    """Turns the engine's stream of a build into a few lines a person can follow."""

    def __init__(self, image: str, report: Report) -> None:
        self._image = image
        self._report = report
        self._last_lines: list[str] = []
        self._reported_at = 0.0

    def follow(self, answers: Iterable[Any]) -> None:
        """Raises: SandboxError when the build fails."""
        for answer in answers:
            if "error" in answer:
                lines = "\n".join([*self._last_lines, str(answer["error"])])
                raise SandboxError(f"Building {self._image} failed:\n{lines}")
            for line in str(answer.get("stream", "")).splitlines():
                self._line(line.rstrip())

    def _line(self, line: str) -> None:
        if not line:
            return
        self._last_lines = [*self._last_lines[-19:], line]
        if line.startswith("Step "):
            self._say(" ".join(line.split())[:100])
        elif time.monotonic() - self._reported_at >= REPORT_EVERY_S:
            self._say(f"  {line[:80]}")

    def _say(self, text: str) -> None:
        self._reported_at = time.monotonic()
        self._report(f"{self._image}: {text}")
