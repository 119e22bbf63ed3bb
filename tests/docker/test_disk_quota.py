"""Sizes for containers and volumes, where the engine can hold them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from sessions.models import Reclaimed
from sessions.runtime.archives import Archives
from sessions.runtime.reconcile import reconcile
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.channel import open_channel
from sessions.sandbox.container_config import container_config
from sessions.sandbox.disk_quota import DiskQuota, may_have_quotas
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.limits import MIB, Limits
from tests.docker.conftest import Connect, Spec

PROBE = "berth-probe-"


def engine_info(driver: str, backing: str) -> dict[str, Any]:
    return {"Driver": driver, "DriverStatus": [["Backing Filesystem", backing]]}


def test_only_overlay2_on_xfs_is_asked() -> None:
    assert may_have_quotas(engine_info("overlay2", "xfs"))
    assert not may_have_quotas(engine_info("overlay2", "extfs"))
    assert not may_have_quotas(engine_info("vfs", "xfs"))
    assert not may_have_quotas({"Driver": "overlay2", "DriverStatus": None})


def test_with_quotas_layer_and_workspace_get_the_size(spec: Callable[..., Any]) -> None:
    wanted = spec(limits=Limits(disk_bytes=512 * MIB))
    plain = container_config(wanted, installation="i", guest_volume="g")["HostConfig"]
    assert "StorageOpt" not in plain
    assert "DriverConfig" not in plain["Mounts"][0]["VolumeOptions"]
    config = container_config(wanted, installation="i", guest_volume="g", has_disk_quota=True)
    host = config["HostConfig"]
    size = {"size": str(512 * MIB)}
    assert host["StorageOpt"] == size
    workspace, guest = host["Mounts"]
    assert workspace["VolumeOptions"]["DriverConfig"] == {"Name": "local", "Options": size}
    assert "DriverConfig" not in guest["VolumeOptions"]


@pytest.mark.docker
async def test_asking_this_engine_leaves_nothing_and_agrees_with_what_it_does(
    docker: AsyncDocker, backend: DockerBackend, spec: Spec, connect: Connect
) -> None:
    def names_of_all(api: Any) -> set[str]:
        return {volume["Name"] for volume in api.volumes()["Volumes"] or ()}

    quota = DiskQuota(docker, "quota-probe")
    takes_sizes = await quota.takes_sizes()
    assert not [n for n in await docker.call(names_of_all) if n.startswith(PROBE)]
    info = await docker.call(lambda api: api.info())
    assert await quota.is_available() == (may_have_quotas(info) and takes_sizes)
    assert (await backend.engine()).has_disk_quota == await quota.is_available()
    # Whatever the engine can, a session starts with its limit.
    sandbox = await connect(await backend.create(spec(limits=Limits(disk_bytes=300 * MIB))))
    assert (await sandbox.usage()).disk_limit_bytes == 300 * MIB


class DiedError(BaseException):
    """No handler of the product catches it, as none survives SIGKILL."""


class Dying(AsyncDocker):
    """The last that its process did was to make a volume."""

    @override
    async def call(self, verb: Callable[[Any], Any], **options: Any) -> Any:
        return await super().call(lambda api: verb(WithoutSizes(api)), **options)

    @override
    async def remove_volume(self, name: str) -> None:
        raise DiedError(name)


class WithoutSizes:
    """An engine's client that makes volumes also where the engine would refuse the size."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def create_volume(self, name: str, driver: str, _options: object, **more: Any) -> Any:
        return self._api.create_volume(name, driver, **more)


@pytest.mark.docker
@pytest.mark.django_db(transaction=True)
async def test_what_a_crash_leaves_of_asking_is_removed(
    backend: DockerBackend, tmp_path: Path
) -> None:
    dying = Dying()
    with pytest.raises(DiedError):
        await DiskQuota(dying, backend._installation).takes_sizes()
    await dying.close()
    (left,) = await backend.volumes()
    assert left.startswith(PROBE)
    await reconcile(Sandboxes(backend, open_channel, archives=Archives(tmp_path)))
    assert await backend.volumes() == {}
    assert [row.name async for row in Reclaimed.objects.all()] == [left]
