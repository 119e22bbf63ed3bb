"""The Docker backend: sessions as containers of one engine, found again by their labels."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from sessions.errors import ContainerLostError
from sessions.sandbox import names
from sessions.sandbox.base import (
    ContainerInfo,
    ContainerSpec,
    DuplexStream,
    EngineInfo,
    ImageInfo,
    SandboxBackend,
)
from sessions.sandbox.container_config import container_config, engine_limits, guest_argv
from sessions.sandbox.disk_quota import DiskQuota
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.exec_stream import open_exec
from sessions.sandbox.guest_volume import GuestVolume
from sessions.sandbox.limits import Limits

_LIMIT_SUPPORT = {
    "memory": "MemoryLimit",
    "swap": "SwapLimit",
    "cpu": "CpuCfsQuota",
    "pids": "PidsLimit",
}


class DockerBackend(SandboxBackend):
    """`installation` marks what is ours on an engine that others may use as well.

    `docker_host` is an engine's address; empty means DOCKER_HOST or the default socket.
    """

    def __init__(
        self,
        *,
        installation: str,
        allowed_images: Sequence[str] = (),
        guest_volume_image: str = names.SLIM_IMAGE,
        docker_host: str = "",
    ) -> None:
        self._installation = installation
        self._allowed_images = tuple(allowed_images)
        self._docker = AsyncDocker(docker_host)
        self._guest_volume = GuestVolume(self._docker, guest_volume_image)
        self._disk_quota = DiskQuota(self._docker, installation)

    @override
    async def create(self, spec: ContainerSpec) -> str:
        guest_volume = await self._guest_volume.ensure()
        config = container_config(
            spec,
            installation=self._installation,
            guest_volume=guest_volume,
            has_disk_quota=await self._disk_quota.is_available(),
        )
        await self._docker.create_container(config, spec.name)
        try:
            await self._docker.call(lambda api: api.start(spec.name))
        except BaseException:
            await self.remove(spec.name)
            raise
        return spec.name

    @override
    async def set_limits(self, container_id: str, limits: Limits) -> None:
        await self._docker.update_container(container_id, engine_limits(limits))

    @override
    async def open(self, container_id: str) -> DuplexStream:
        created = await self._docker.call(
            lambda api: api.exec_create(
                container_id, guest_argv("connect"), stdin=True, user="0:0", workdir="/"
            )
        )
        version = await self._docker.api_version()
        return await open_exec(self._docker.address, version, str(created["Id"]))

    @override
    async def inspect(self, container_id: str) -> ContainerInfo:
        found = await self._docker.call(lambda api: api.inspect_container(container_id))
        labels = found["Config"]["Labels"] or {}
        if labels.get(names.INSTALLATION_LABEL) != self._installation:
            raise ContainerLostError(f"Container {container_id[:12]} is not of this installation.")
        state = found["State"]
        return ContainerInfo(
            container_id=str(found["Name"]).removeprefix("/"),
            session_id=names.session_of(labels),
            is_running=bool(state["Running"]),
            oom_killed=bool(state["OOMKilled"]),
            exit_code=None if state["Running"] else int(state["ExitCode"]),
            engine_id=str(found["Id"]),
        )

    @override
    async def remove(self, container_id: str) -> None:
        await self._docker.remove_container(container_id)

    @override
    async def remove_volume(self, name: str) -> None:
        await self._docker.remove_volume(name)

    @override
    async def containers(self) -> list[ContainerInfo]:
        wanted = names.owner_filter(self._installation)
        rows = await self._docker.call(lambda api: api.containers(all=True, filters=wanted))
        return [
            ContainerInfo(
                container_id=str(row["Names"][0]).removeprefix("/"),
                session_id=names.session_of(row["Labels"]),
                is_running=row["State"] in {"running", "paused"},
                engine_id=str(row["Id"]),
            )
            for row in rows
            if row["Names"]  # one that is being removed has none any more
        ]

    @override
    async def volumes(self) -> dict[str, str]:
        wanted = names.owner_filter(self._installation)
        answer = await self._docker.call(lambda api: api.volumes(filters=wanted))
        found = {row["Name"]: names.session_of(row["Labels"]) for row in answer["Volumes"] or ()}
        return {name: session_id for name, session_id in found.items() if session_id}

    @override
    async def images(self) -> list[ImageInfo]:
        rows = await self._docker.call(lambda api: api.images())
        allowed = {names.with_tag(name) for name in self._allowed_images}
        found = {
            names.without_latest(tag): ImageInfo(names.without_latest(tag), int(row["Size"]))
            for row in rows
            for tag in row["RepoTags"] or ()
            # What a rebuild left behind keeps its labels, but has no name to start it by.
            if "<none>" not in tag and (tag in allowed or _is_sandbox_image(row["Labels"]))
        }
        return [found[name] for name in sorted(found)]

    @override
    async def image_id(self, name: str) -> str:
        return str((await self._docker.inspect_image(name))["Id"])

    @override
    async def engine(self) -> EngineInfo:
        version = await self._docker.call(lambda api: api.version())
        info = await self._docker.call(lambda api: api.info())
        return EngineInfo(
            version=str(version["Version"]),
            api_version=str(version["ApiVersion"]),
            storage_driver=str(info["Driver"]),
            backing_filesystem=str(dict(info["DriverStatus"]).get("Backing Filesystem", "")),
            cgroup_version=str(info.get("CgroupVersion", "1")),
            security_options=tuple(info["SecurityOptions"] or ()),
            runtimes=tuple(sorted(info["Runtimes"])),
            unenforced_limits=tuple(
                limit for limit, key in _LIMIT_SUPPORT.items() if not info.get(key, True)
            ),
            has_disk_quota=await self._disk_quota.is_available(),
        )

    @override
    async def close(self) -> None:
        await self._docker.close()


def _is_sandbox_image(labels: Mapping[str, Any] | None) -> bool:
    return (labels or {}).get(names.IMAGE_LABEL) == "1"
