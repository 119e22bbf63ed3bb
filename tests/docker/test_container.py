"""What a session's container is, seen from the engine and from inside."""

import pytest

from sessions.errors import ContainerLostError, ImageNotFoundError
from sessions.sandbox import names
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.limits import MIB, Limits
from tests.docker.conftest import SMALL_LIMITS, Connect, Spec, output_of

pytestmark = pytest.mark.docker

GUEST_CAPABILITY_BITS = 0xEB
"""CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7."""


async def test_commands_have_no_network_but_loopback(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    sandbox = await connect(await backend.create(spec()))
    assert (await output_of(sandbox, "ls", "/sys/class/net")).split() == ["lo"]


async def test_commands_run_as_uid_1000_with_no_privilege(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    sandbox = await connect(await backend.create(spec()))
    status = await output_of(sandbox, "cat", "/proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["1000"] * 4
    for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert int(fields["CapBnd"], 16) == GUEST_CAPABILITY_BITS
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"


async def test_a_setuid_program_gives_nothing(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    sandbox = await connect(await backend.create(spec()))
    assert "root" not in await output_of(sandbox, "sh", "-c", "su -c whoami 2>&1 </dev/null; true")


async def test_the_engine_enforces_the_limits(
    backend: DockerBackend, docker: AsyncDocker, spec: Spec
) -> None:
    container = await backend.create(spec())
    host = (await docker.call(lambda api: api.inspect_container(container)))["HostConfig"]
    assert host["Memory"] == SMALL_LIMITS.memory_bytes
    assert host["MemorySwap"] in (SMALL_LIMITS.memory_bytes, -1)  # -1: no swap accounting here
    assert host["NanoCpus"] == 500_000_000
    assert host["PidsLimit"] == SMALL_LIMITS.pids
    assert not host["Privileged"]
    assert host["RestartPolicy"]["Name"] in ("", "no")
    assert host["LogConfig"]["Type"] == "none"
    assert not host["Binds"]


async def test_limits_are_seen_inside(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    sandbox = await connect(await backend.create(spec()))
    usage = await sandbox.usage()
    assert usage.memory_limit_bytes == SMALL_LIMITS.memory_bytes
    assert usage.pids_limit == SMALL_LIMITS.pids


async def test_limits_can_be_changed_while_it_runs(
    connect: Connect, backend: DockerBackend, docker: AsyncDocker, spec: Spec
) -> None:
    """Up and down, as a claim from the pool does."""
    container = await backend.create(spec())
    sandbox = await connect(container)
    for memory_bytes, cpus, pids in ((512 * MIB, 1.5, 128), (128 * MIB, 0.3, 40)):
        limits = Limits(memory_bytes=memory_bytes, cpus=cpus, pids=pids)
        await backend.set_limits(container, limits)
        usage = await sandbox.usage()
        assert (usage.memory_limit_bytes, usage.pids_limit) == (memory_bytes, pids)
        found = await docker.call(lambda api: api.inspect_container(container))
        assert found["HostConfig"]["NanoCpus"] == round(cpus * 1e9)
    with pytest.raises(ContainerLostError):
        await backend.set_limits("berth-no-such-container", Limits())


async def test_the_guests_volume_cannot_be_written(
    backend: DockerBackend, docker: AsyncDocker, spec: Spec
) -> None:
    container = await backend.create(spec())
    mounts = (await docker.call(lambda api: api.inspect_container(container)))["Mounts"]
    writable = {mount["Destination"]: mount["RW"] for mount in mounts}
    assert writable == {"/workspace": True, "/.berth": False}


async def test_labels_find_the_containers_and_volumes_of_one_installation(
    backend: DockerBackend, docker: AsyncDocker, spec: Spec
) -> None:
    wanted = spec()
    container = await backend.create(wanted)
    stranger = DockerBackend(installation="test-somebody-else")
    found = await backend.containers()
    assert [(c.container_id, c.session_id, c.is_running) for c in found] == [
        (container, wanted.session_id, True)
    ]
    assert await backend.volumes() == {wanted.workspace_volume: wanted.session_id}
    assert await stranger.containers() == []
    assert await stranger.volumes() == {}
    await stranger.close()


async def test_the_workspace_outlives_its_container(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    wanted = spec()
    first = await backend.create(wanted)
    sandbox = await connect(first)
    await output_of(sandbox, "sh", "-c", "echo kept > /mnt/data/file")
    await backend.remove(first)
    sandbox = await connect(await backend.create(wanted))
    assert await output_of(sandbox, "cat", "/workspace/file") == "kept\n"


async def test_removing_twice_is_no_error(backend: DockerBackend, spec: Spec) -> None:
    wanted = spec()
    container = await backend.create(wanted)
    await backend.remove(container)
    await backend.remove(container)
    await backend.remove_volume(wanted.workspace_volume)
    await backend.remove_volume(wanted.workspace_volume)
    assert await backend.containers() == []
    assert await backend.volumes() == {}


async def test_an_unknown_image_is_said_so_and_leaves_nothing(
    backend: DockerBackend, spec: Spec
) -> None:
    with pytest.raises(ImageNotFoundError):
        await backend.create(spec(image="berth-test/no-such-image"))
    assert await backend.containers() == []


async def test_a_guest_works_where_there_is_only_busybox(
    connect: Connect, backend: DockerBackend, spec: Spec, busybox_image: str
) -> None:
    sandbox = await connect(await backend.create(spec(busybox_image)))
    assert await output_of(sandbox, "sh", "-c", "echo hello > file; cat file") == "hello\n"
    assert (await output_of(sandbox, "id", "-u")).strip() == "1000"
    assert [entry.name for entry in await sandbox.list_dir("")] == ["file"]


async def test_only_sandbox_images_and_allowed_ones_are_offered(
    backend: DockerBackend, busybox_image: str
) -> None:
    offered = {image.name: image.size_bytes for image in await backend.images()}
    assert names.SLIM_IMAGE in offered
    assert names.SANDBOX_IMAGE in offered
    assert busybox_image in offered
    assert not [name for name in offered if name.startswith(names.BASE_IMAGE)]
    assert all(offered.values())


async def test_the_engine_says_what_it_is(backend: DockerBackend) -> None:
    engine = await backend.engine()
    assert tuple(int(part) for part in engine.api_version.split(".")) >= (1, 41)
    assert engine.cgroup_version in {"1", "2"}
    assert any("seccomp" in option for option in engine.security_options)
    assert "runc" in engine.runtimes
