"""Uploads, new folders, renames and deletions."""

from pathlib import Path
from typing import Any

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
def files(alices: AsyncClient, agent_session: Session, sandbox: Sandbox) -> FileRequests:
    return FileRequests(alices, agent_session)


def names_on_host(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def names_in(sandbox: Sandbox, path: str = "") -> list[str]:
    return [entry.name for entry in await sandbox.list_dir(path)]


async def test_an_upload_comes_back_byte_for_byte(files: FileRequests) -> None:
    data = bytes(range(256)) * 20_000
    response = await files.put("deep/er/data.bin", data)
    assert response.status_code == 201
    assert (response.json()["query"], response.json()["size"]) == ("deep/er/data.bin", len(data))
    assert await body_of(await files.get("raw", "deep/er/data.bin")) == data


async def test_an_empty_upload_is_an_empty_file(files: FileRequests, sandbox: Sandbox) -> None:
    assert (await files.put("new.txt", b"")).status_code == 201
    assert (await sandbox.stat("new.txt")).size == 0


@pytest.mark.parametrize("name", ["new\nline", "\u202egpj.exe", "\udcff\udc80", "a+b %20&c=d#?"])
async def test_any_name_can_be_uploaded(files: FileRequests, sandbox: Sandbox, name: str) -> None:
    assert (await files.put(name, b"x")).status_code == 201
    assert await names_in(sandbox) == [name]


async def test_nothing_is_replaced_unless_that_was_asked(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await sandbox.write_file("f", b"old")
    assert error_of(await files.put("f", b"new")) == (409, "entry_exists")
    assert error_of(await files.put("f", b"new", overwrite=0)) == (409, "entry_exists")
    assert await body_of(await files.get("raw", "f")) == b"old"
    assert (await files.put("f", b"new", overwrite=1)).status_code == 201
    assert await body_of(await files.get("raw", "f")) == b"new"


async def test_a_folder_is_never_replaced_by_a_file(files: FileRequests, sandbox: Sandbox) -> None:
    await sandbox.write_file("d/kept", b"x")
    assert error_of(await files.put("d", b"new", overwrite=1)) == (400, "wrong_entry_kind")
    assert error_of(await files.put("", b"new", overwrite=1)) == (400, "invalid_input")
    assert await names_in(sandbox, "d") == ["kept"]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the host's that the workspace's user may write to."""
    tmp_path.chmod(0o777)
    return tmp_path


async def test_an_upload_does_not_write_through_a_link_that_leads_out(
    files: FileRequests, sandbox: Sandbox, outside: Path
) -> None:
    await in_workspace(sandbox, f"ln -s {outside} out; ln -s {outside}/f link")
    assert error_of(await files.put("out/f", b"x", overwrite=1)) == (403, "outside_workspace")
    await files.put("link", b"x", overwrite=1)
    assert names_on_host(outside) == []


async def test_an_upload_over_the_limit_is_refused(
    files: FileRequests, sandbox: Sandbox, settings: Any
) -> None:
    settings.BERTH_MAX_UPLOAD_MB = 1
    assert error_of(await files.put("f", bytes(1024 * 1024 + 1))) == (413, "file_too_large")
    assert await names_in(sandbox) == []
    assert (await files.put("f", bytes(1024 * 1024))).status_code == 201


async def test_a_folder_is_made_once(files: FileRequests, sandbox: Sandbox) -> None:
    response = await files.post("folder", {"path": "a%20b"})
    assert (response.status_code, response.json()["kind"]) == (201, "folder")
    assert await names_in(sandbox) == ["a b"]
    assert error_of(await files.post("folder", {"path": "a%20b"})) == (409, "entry_exists")


async def test_rename_moves_and_never_replaces(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "echo a > a; echo b > b; mkdir d; echo c > d/c")
    taken = await files.post("rename", {"path": "a", "target": "b"})
    assert error_of(taken) == (409, "entry_exists")
    moved = await files.post("rename", {"path": "a", "target": "d/n%C3%A9w"})
    assert (moved.status_code, moved.json()["name"]) == (200, "néw")
    assert (await files.post("rename", {"path": "d", "target": "e"})).status_code == 200
    assert sorted(await names_in(sandbox, "e")) == ["c", "néw"]
    gone = await files.post("rename", {"path": "gone", "target": "x"})
    assert error_of(gone) == (404, "entry_not_found")
    into_itself = await files.post("rename", {"path": "e", "target": "e/f"})
    assert into_itself.status_code == 400


async def test_a_name_that_is_not_utf8_can_be_mended(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await sandbox.write_file("caf\udce9", b"x")
    assert (await files.post("rename", {"path": "caf%E9", "target": "caf%C3%A9"})).json()["plain"]
    assert await names_in(sandbox) == ["café"]


async def test_delete_takes_files_folders_and_links_themselves(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await in_workspace(
        sandbox, "mkdir -p d/e keep; echo x > keep/f; ln -s ../keep d/l; echo x > f"
    )
    for path in ("d", "f"):
        assert (await files.post("delete", {"path": path})).status_code == 204
    assert await names_in(sandbox) == ["keep"]
    assert await names_in(sandbox, "keep") == ["f"]
    assert error_of(await files.post("delete", {"path": "f"})) == (404, "entry_not_found")


async def test_the_workspace_itself_stays(files: FileRequests, sandbox: Sandbox) -> None:
    await sandbox.write_file("f", b"x")
    assert error_of(await files.post("delete", {"path": ""})) == (400, "invalid_input")
    renamed = await files.post("rename", {"path": "", "target": "x"})
    assert error_of(renamed) == (400, "invalid_input")
    assert await names_in(sandbox) == ["f"]
