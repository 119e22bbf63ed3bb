"""The read-only volume every container starts its guest from, made once per content.

Its name is a hash of all that goes in, so a new version gets a new volume and running containers
keep theirs. A container gathers it (image/guest_bundle.py), and that container is also the sign
that it is not complete yet: it is removed last, and only one of its name can exist, so two
processes never fill the same volume.
"""

import asyncio
import hashlib
import io
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sessions.errors import ContainerLostError, ImageNotFoundError, SandboxError
from sessions.sandbox import names
from sessions.sandbox.docker_client import AsyncDocker

GUEST_SOURCES = Path(__file__).parent / "guest"
BUNDLE_SCRIPT = Path(__file__).parent / "image" / "guest_bundle.py"
BUNDLE_TIMEOUT_S = 180.0
POLL_S = 0.1
SUPERSEDED_AFTER = timedelta(hours=1)
STALE_AFTER_S = 10.0
"""A bundling container that was never started by then was left by a process that died."""


class GuestVolume:
    def __init__(self, docker: AsyncDocker, image: str) -> None:
        self._docker = docker
        self._image = image
        self._lock = asyncio.Lock()
        self._name = ""

    async def ensure(self) -> str:
        """The volume's name. Makes it when it is missing.

        Raises: ImageNotFoundError when the image it is made from is missing.
        """
        async with self._lock:
            if not self._name:
                self._name = names.guest_volume_name(await self._content_hash())
            # Looked for each time: whoever prunes volumes must not break the next session.
            if not await self._is_complete():
                await self._make()
                if not await self._is_complete():
                    raise SandboxError("The guest's volume is not there; another process failed.")
            return self._name

    async def is_ready(self) -> bool:
        """Only looks. Raises: ImageNotFoundError when its image is missing."""
        if not self._name:
            self._name = names.guest_volume_name(await self._content_hash())
        return await self._is_complete()

    async def remove_superseded(self) -> list[str]:
        """Remove other versions' volumes that no container uses; returns their names.

        Young ones are left: another Berth on this engine may be about to use its own.
        """
        current = await self.ensure()
        await self._remove_stale_builders()
        answer = await self._docker.call(
            lambda api: api.volumes(filters={"label": names.GUEST_LABEL, "dangling": True})
        )
        before = datetime.now(UTC) - SUPERSEDED_AFTER
        removed = []
        for row in answer["Volumes"] or ():
            name = str(row["Name"])
            if name != current and datetime.fromisoformat(row["CreatedAt"]) < before:
                await self._docker.remove_volume(name)
                removed.append(name)
        return removed

    async def _remove_stale_builders(self) -> None:
        """A builder whose process died before it was done keeps its volume from being removed."""
        rows = await self._docker.call(
            lambda api: api.containers(all=True, filters={"label": names.GUEST_LABEL})
        )
        before = (datetime.now(UTC) - SUPERSEDED_AFTER).timestamp()
        for row in rows:
            if row["State"] != "running" and row["Created"] < before:
                await self._docker.remove_container(str(row["Id"]))

    async def _content_hash(self) -> str:
        image = await self._inspect_image()
        digest = hashlib.sha256(str(image["Id"]).encode())
        for path in [BUNDLE_SCRIPT, *sorted(GUEST_SOURCES.glob("*.py"))]:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()

    async def _inspect_image(self) -> dict[str, Any]:
        try:
            return await self._docker.inspect_image(self._image)
        except ImageNotFoundError as error:
            raise ImageNotFoundError(
                f"The image {self._image} is missing. Build it with `make images`.", param="image"
            ) from error

    @property
    def _builder(self) -> str:
        return f"{self._name}-build"

    async def _is_complete(self) -> bool:
        answer = await self._docker.call(lambda api: api.volumes(filters={"name": self._name}))
        if self._name not in [row["Name"] for row in answer["Volumes"] or ()]:
            return False
        state = await self._builder_state()
        return state is None or _has_succeeded(state)

    async def _builder_state(self) -> dict[str, Any] | None:
        try:
            found = await self._docker.call(lambda api: api.inspect_container(self._builder))
        except ContainerLostError:
            return None
        state: dict[str, Any] = found["State"]
        return state

    async def _make(self) -> None:
        try:
            async with asyncio.timeout(BUNDLE_TIMEOUT_S):
                if await self._builder_state() is None:
                    await self._start_builder()
                failure = await self._wait_for_builder()
        except TimeoutError:
            failure = "it took too long"
        if failure:
            logs = await self._docker.call(lambda api: api.logs(self._builder, tail=20))
            await self._discard()
            text = logs.decode(errors="replace").strip()
            raise SandboxError(f"The guest's volume could not be made ({failure}). {text}")
        await self._docker.remove_container(self._builder)

    async def _start_builder(self) -> None:
        config = _builder_config(self._image, self._name)
        try:
            container_id = await self._docker.create_container(config, self._builder)
        except SandboxError as error:
            if "already in use" not in error.message:
                raise
            # Another process was faster. A name is taken a moment before it can be inspected.
            for _ in range(round(STALE_AFTER_S / POLL_S)):
                if await self._builder_state() is not None:
                    break
                await asyncio.sleep(POLL_S)
            return
        archive = _sources_archive()
        await self._docker.call(lambda api: api.put_archive(container_id, "/tmp", archive))  # noqa: S108
        await self._docker.call(lambda api: api.start(container_id))

    async def _wait_for_builder(self) -> str:
        """Empty when it succeeded, or was finished and removed by another process."""
        waited_s = 0.0
        while True:
            state = await self._builder_state()
            if state is None:
                return ""
            if state["Status"] == "created" and waited_s > STALE_AFTER_S:
                return "it was never started"
            if state["Status"] in {"exited", "dead"}:
                return f"exit code {state['ExitCode']}" if state["ExitCode"] else ""
            await asyncio.sleep(POLL_S)
            waited_s += POLL_S

    async def _discard(self) -> None:
        await self._docker.remove_container(self._builder)
        await self._docker.remove_volume(self._name)


def _has_succeeded(state: dict[str, Any]) -> bool:
    """True also while a process that saw it first is removing the container."""
    has_run = not state["Running"] and not state["FinishedAt"].startswith("0001-")
    return has_run and state["ExitCode"] == 0


def _builder_config(image: str, volume: str) -> dict[str, Any]:
    return {
        "Image": image,
        "User": "0:0",
        "Entrypoint": ["python3", "-I", "/tmp/bundle/guest_bundle.py"],  # noqa: S108
        "Cmd": ["/tmp/bundle/guest", names.GUEST_PATH],  # noqa: S108
        "NetworkDisabled": True,
        "Labels": {names.GUEST_LABEL: volume},
        "HostConfig": {
            "NetworkMode": "none",
            "SecurityOpt": ["no-new-privileges:true"],
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": volume,
                    "Target": names.GUEST_PATH,
                    "VolumeOptions": {"NoCopy": True, "Labels": {names.GUEST_LABEL: volume}},
                }
            ],
        },
    }


def _sources_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(BUNDLE_SCRIPT, "bundle/guest_bundle.py")
        for path in sorted(GUEST_SOURCES.glob("*.py")):
            archive.add(path, f"bundle/guest/{path.name}")
    return buffer.getvalue()
