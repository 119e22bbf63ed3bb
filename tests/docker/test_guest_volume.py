"""The guest's volume is made once per content, and is whole whenever it is named."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sessions.errors import ContainerLostError, ImageNotFoundError, SandboxError
from sessions.sandbox import guest_volume, names
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.guest_volume import GuestVolume

pytestmark = pytest.mark.docker


@pytest.fixture
async def other_content(
    docker: AsyncDocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Path]:
    """A guest of one file, so that its volume is nobody else's."""
    (tmp_path / "__main__.py").write_text(f"print({str(tmp_path)!r})\n")
    monkeypatch.setattr(guest_volume, "GUEST_SOURCES", tmp_path)
    yield tmp_path
    for row in (await docker.call(lambda api: api.volumes()))["Volumes"] or ():
        if row["Name"] in made:
            await docker.remove_volume(row["Name"])
    made.clear()


made: set[str] = set()


async def ensure(docker: AsyncDocker) -> str:
    name = await GuestVolume(docker, names.SLIM_IMAGE).ensure()
    made.add(name)
    return name


async def created_at(docker: AsyncDocker, name: str) -> str:
    return str((await docker.call(lambda api: api.inspect_volume(name)))["CreatedAt"])


async def test_the_same_content_is_made_once(docker: AsyncDocker, other_content: Path) -> None:
    name = await ensure(docker)
    first = await created_at(docker, name)
    assert await ensure(docker) == name
    assert await created_at(docker, name) == first


async def test_another_content_gets_another_volume(
    docker: AsyncDocker, other_content: Path
) -> None:
    name = await ensure(docker)
    (other_content / "more.py").write_text("")
    assert await ensure(docker) != name


async def test_two_at_once_fill_one_volume(docker: AsyncDocker, other_content: Path) -> None:
    first, second = await asyncio.gather(ensure(docker), ensure(docker))
    assert first == second


async def test_a_pruned_volume_comes_back(docker: AsyncDocker, other_content: Path) -> None:
    volume = GuestVolume(docker, names.SLIM_IMAGE)
    name = await volume.ensure()
    made.add(name)
    await docker.remove_volume(name)
    assert await volume.ensure() == name
    assert (await docker.call(lambda api: api.inspect_volume(name)))["Name"] == name


async def test_a_failed_volume_is_not_kept(docker: AsyncDocker, other_content: Path) -> None:
    (other_content / "broken.py").write_text("def (\n")
    with pytest.raises(SandboxError, match="does not compile"):
        await ensure(docker)
    (other_content / "broken.py").write_text("pass\n")
    await ensure(docker)


async def test_a_missing_image_names_the_command_to_run(docker: AsyncDocker) -> None:
    with pytest.raises(ImageNotFoundError, match="make images"):
        await GuestVolume(docker, "berth-test/no-such-image").ensure()


async def test_old_versions_go_unless_a_container_uses_them(
    docker: AsyncDocker, other_content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label of its own keeps this away from what else is on the engine."""
    monkeypatch.setattr(names, "GUEST_LABEL", f"berth.test.{other_content.name}")
    monkeypatch.setattr(guest_volume, "SUPERSEDED_AFTER", timedelta(seconds=-5))
    old = await ensure(docker)
    used = f"{old}-used"
    made.add(used)
    labels = {names.GUEST_LABEL: used}
    await docker.call(lambda api: api.create_volume(used, labels=labels))
    mount = {"Type": "volume", "Source": used, "Target": "/.berth"}
    user = await docker.create_container(
        {"Image": names.SLIM_IMAGE, "HostConfig": {"Mounts": [mount], "NetworkMode": "none"}},
        f"berth-test-{old[-8:]}",
    )
    # Left by a process that died between creating and starting it.
    await docker.create_container(
        {"Image": names.SLIM_IMAGE, "Labels": {names.GUEST_LABEL: "x"}}, f"{old}-stale"
    )
    (other_content / "more.py").write_text("")
    current = GuestVolume(docker, names.SLIM_IMAGE)
    made.add(await current.ensure())
    assert await current.remove_superseded() == [old]
    with pytest.raises(ContainerLostError):
        await docker.call(lambda api: api.inspect_container(f"{old}-stale"))
    await docker.remove_container(user)
    assert await current.remove_superseded() == [used]
