"""The same endpoints over a real container: what the agent sees is what the browser sees."""

import asyncio
import io
import uuid
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from django.test import AsyncClient

from sessions.models import Session
from sessions.runtime.archives import Archives
from sessions.runtime.process import Runtime, SandboxConfig
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.wiring import max_limits, use_runtime
from sessions.sandbox import names
from sessions.sandbox.base import Sandbox
from sessions.sandbox.channel import open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.limits import Limits
from tests.web.conftest import ScriptedOnly
from tests.web.file_requests import FileRequests, body_of, error_of, in_workspace

pytestmark = pytest.mark.docker

WORKSPACE_BYTES = 8 * 1024 * 1024
INSTALLATION = f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def docker() -> AsyncIterator[AsyncDocker]:
    client = AsyncDocker()
    yield client
    await client.close()


@pytest.fixture
async def small_volume(docker: AsyncDocker, agent_session: Session) -> str:
    """The session's workspace, made beforehand so that it is small and its disk can be full."""
    name = agent_session.workspace_volume = names.workspace_volume_name(str(agent_session.id))
    await agent_session.asave(update_fields=["workspace_volume"])
    options = {
        "type": "tmpfs",
        "device": "tmpfs",
        "o": f"size={WORKSPACE_BYTES},uid=1000,gid=1000",
    }
    labels = names.ownership_labels(INSTALLATION, str(agent_session.id))
    await docker.call(
        lambda api: api.create_volume(name, driver="local", driver_opts=options, labels=labels)
    )
    return name


@pytest.fixture
async def sandbox(
    agent_session: Session, small_volume: str, tmp_path: Path
) -> AsyncIterator[Sandbox]:
    backend = DockerBackend(installation=INSTALLATION)
    sandboxes = Sandboxes(backend, open_channel, archives=Archives(tmp_path / "archives"))
    config = SandboxConfig(names.SLIM_IMAGE, Limits(), max_limits())
    use_runtime(Runtime(sandboxes=sandboxes, models=ScriptedOnly(), config=config))
    yield await sandboxes.connect(agent_session)
    await agent_session.arefresh_from_db()
    await backend.remove(agent_session.container_id)
    await backend.remove_volume(small_volume)
    await sandboxes.aclose()


@pytest.fixture
def files(alices: AsyncClient, agent_session: Session, sandbox: Sandbox) -> FileRequests:
    return FileRequests(alices, agent_session)


async def test_agent_and_browser_share_the_files(files: FileRequests, sandbox: Sandbox) -> None:
    data = bytes(range(256)) * 4096
    assert (await files.put("in/from browser.bin", data)).status_code == 201
    await in_workspace(
        sandbox, "cp 'in/from browser.bin' copy; test $(stat -c %u copy) = 1000; ln -s /etc out"
    )
    response = await files.get("raw", "copy", headers={"range": "bytes=1000-1999"})
    assert response.status_code == 206
    assert await body_of(response) == data[1000:2000]
    assert error_of(await files.get("raw", "out/passwd")) == (403, "outside_workspace")
    archive = zipfile.ZipFile(io.BytesIO(await body_of(await files.get("archive", ""))))
    assert archive.read("copy") == archive.read("in/from browser.bin") == data


async def test_a_full_disk_stops_an_upload_and_leaves_nothing_half(
    files: FileRequests, sandbox: Sandbox
) -> None:
    too_much = bytes(WORKSPACE_BYTES + 1)
    assert error_of(await files.put("big", too_much)) == (507, "disk_full")
    assert (await files.get("list", "")).json()["entries"] == []
    assert (await files.put("small", b"fits")).status_code == 201


async def test_a_reader_that_goes_away_ends_the_work_in_the_container(
    files: FileRequests, sandbox: Sandbox, docker: AsyncDocker, agent_session: Session
) -> None:
    await agent_session.arefresh_from_db()

    async def process_ids() -> set[str]:
        table = await docker.call(lambda api: api.top(agent_session.container_id))
        column = table["Titles"].index("PID")
        return {row[column] for row in table["Processes"]}

    await in_workspace(sandbox, "truncate -s 5G sparse")
    # Ids and not their number: what made the file may still be ending here.
    before = await process_ids()
    response = await files.get("raw", "sparse")
    pieces = aiter(response)
    assert await anext(pieces)
    reading = await process_ids() - before
    assert reading
    await pieces.aclose()
    async with asyncio.timeout(10):
        while await process_ids() & reading:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
