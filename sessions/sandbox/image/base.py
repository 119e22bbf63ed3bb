"""The Debian the images start from: pulled where a registry answers, else made here."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from sessions.errors import ImageNotFoundError, SandboxError
from sessions.sandbox import names
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.image.debian_sources import RELEASE, debian_sources

UPSTREAM_IMAGE = f"debian:{RELEASE}-slim"
OWN_IMAGE = f"{names.BASE_IMAGE}:{RELEASE}"
PULL_SILENCE_S = 20
"""A registry that says nothing for so long does not answer."""
LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/groff/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
)

Report = Callable[[str], None]


async def ensure_base(docker: AsyncDocker, report: Report, *, rebuild: bool = False) -> str:
    """The name of a usable base image. Raises: SandboxError with what a person can do."""
    if not rebuild:
        for image in (OWN_IMAGE, UPSTREAM_IMAGE):
            if await _has(docker, image):
                return image
    if await _pull(docker, report):
        return UPSTREAM_IMAGE
    await _make(docker, report)
    return OWN_IMAGE


async def _has(docker: AsyncDocker, image: str) -> bool:
    try:
        await docker.inspect_image(image)
    except ImageNotFoundError:
        return False
    return True


async def _pull(docker: AsyncDocker, report: Report) -> bool:
    repository, _, tag = UPSTREAM_IMAGE.partition(":")
    report(f"{UPSTREAM_IMAGE}: asking the registry")

    try:
        await docker.call(
            lambda api: api.pull(repository, tag=tag),
            timeout_s=PULL_SILENCE_S,
        )
    except SandboxError as error:
        report(f"{UPSTREAM_IMAGE}: not available ({error})")
        return False
    return await _has(docker, UPSTREAM_IMAGE)


async def _make(docker: AsyncDocker, report: Report) -> None:
    await _ensure_mmdebstrap(report)
    with tempfile.TemporaryDirectory(prefix="berth-base-") as folder:
        tarball = Path(folder) / "base.tar"
        await _run(_mmdebstrap_command(tarball), report, prefix=OWN_IMAGE)
        report(f"{OWN_IMAGE}: importing {tarball.stat().st_size // 1_000_000} MB")
        await docker.call(
            lambda api: api.import_image_from_file(
                str(tarball),
                repository=names.BASE_IMAGE,
                tag=RELEASE,
                changes=['CMD ["/bin/bash"]'],
            )
        )


def _mmdebstrap_command(tarball: Path) -> list[str]:
    sources = debian_sources()
    needs_tls = any(source.uri.startswith("https:") for source in sources)
    return [
        "mmdebstrap",
        "--variant=apt",
        *(["--include=ca-certificates"] if needs_tls else []),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        RELEASE,
        str(tarball),
        *(source.line for source in sources),
    ]


async def _ensure_mmdebstrap(report: Report) -> None:
    if shutil.which("mmdebstrap"):
        return
    packages = ["mmdebstrap", "debian-archive-keyring"]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SandboxError(
            "No image registry answers, and mmdebstrap is not here to make a base image. "
            f"Run: sudo apt-get install {' '.join(packages)}"
        )
    await _run(["apt-get", "update"], report, prefix="apt-get")
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    await _run(command, report, prefix="apt-get")


async def _run(command: list[str], report: Report, *, prefix: str) -> None:
    """Run a program, report its own progress lines. Raises: SandboxError with its last lines."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    last: list[str] = []
    assert process.stdout is not None
    async for raw in process.stdout:
        line = raw.decode(errors="replace").rstrip()
        last = [*last[-19:], line]
        if line.startswith(("I: ", "Setting up ")):
            report(f"{prefix}: {line.removeprefix('I: ')}")
    if await process.wait() != 0:
        raise SandboxError(f"{command[0]} failed:\n" + "\n".join(last))
