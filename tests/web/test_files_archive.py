"""A folder, or everything, as a streamed zip."""

import io
import zipfile

import pytest
from django.test import AsyncClient

from sessions.models import Session
from sessions.runtime.process import Runtime
from sessions.sandbox.base import Sandbox
from tests.web.file_requests import FileRequests, body_of, error_of, in_workspace


@pytest.fixture
async def sandbox(agent_session: Session, sandbox_runtime: Runtime) -> Sandbox:
    return await sandbox_runtime.sandboxes.connect(agent_session)


@pytest.fixture
def files(alices: AsyncClient, agent_session: Session) -> FileRequests:
    return FileRequests(alices, agent_session)


async def unzipped(files: FileRequests, path: str) -> zipfile.ZipFile:
    response = await files.get("archive", path)
    assert response.status_code == 200
    assert response.streaming
    assert response["Content-Type"] == "application/zip"
    assert response["X-Content-Type-Options"] == "nosniff"
    archive = zipfile.ZipFile(io.BytesIO(await body_of(response)))
    assert archive.testzip() is None
    return archive


async def test_everything_is_one_zip_named_after_the_session(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await in_workspace(sandbox, "mkdir -p a/b; echo one > a/b/1; echo two > 2; mkdir empty")
    archive = await unzipped(files, "")
    contents = {i.filename: archive.read(i) for i in archive.infolist() if not i.is_dir()}
    assert contents == {"a/b/1": b"one\n", "2": b"two\n"}
    assert "empty/" in archive.namelist()
    name = f"workspace-{str(files.session.id)[:8]}.zip"
    assert f'filename="{name}"' in (await files.get("archive", ""))["Content-Disposition"]


async def test_a_folder_is_a_zip_of_its_own_name(files: FileRequests, sandbox: Sandbox) -> None:
    await sandbox.write_file("docs/übung/a.txt", b"x")
    archive = await unzipped(files, "docs/übung")
    assert [i.filename for i in archive.infolist() if not i.is_dir()] == ["übung/a.txt"]
    header = (await files.get("archive", "docs/übung"))["Content-Disposition"]
    assert "filename*=UTF-8''%C3%BCbung.zip" in header


async def test_links_out_bring_nothing_from_outside(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "ln -s /etc/passwd out; ln -s / root; echo x > f")
    archive = await unzipped(files, "")
    assert b"root:" not in b"".join(map(archive.read, archive.namelist()))
    assert not any(name.startswith("root/") for name in archive.namelist())


async def test_a_file_or_nothing_is_no_archive(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "echo x > f; ln -s / out")
    assert error_of(await files.get("archive", "f")) == (400, "wrong_entry_kind")
    assert error_of(await files.get("archive", "gone")) == (404, "entry_not_found")
    assert error_of(await files.get("archive", "out")) == (403, "outside_workspace")


@pytest.mark.slow
async def test_ten_thousand_files_are_all_there(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "mkdir many; cd many; seq 10000 | split -l 1 -a 4 -d - f")
    archive = await unzipped(files, "many")
    names = [i.filename for i in archive.infolist() if not i.is_dir()]
    assert len(names) == len(set(names)) == 10_000
    assert archive.read("many/f0041") == b"42\n"
