"""Uploads in pieces: resumed at the right byte, whole or not at all, and nobody else's."""

import datetime as dt
import hashlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone

from sessions import services
from sessions.models import FileUpload, Session
from sessions.runtime.process import Runtime
from sessions.sandbox.base import Sandbox
from sessions.services import file_uploads
from tests.web.file_requests import error_of

pytestmark = pytest.mark.slow

CONTENT = bytes(range(256)) * 4000
MIB = 1024 * 1024


class Uploads:
    """The endpoints as a script uses them."""

    def __init__(self, client: AsyncClient, session_id: uuid.UUID, **headers: str) -> None:
        self.client = client
        self.url = f"/sessions/{session_id}/files/uploads/"
        self.headers = {"accept": "application/json", **headers}

    async def begin(
        self, path: object = "big.bin", size: object = len(CONTENT), **more: Any
    ) -> Any:
        body = json.dumps({"path": path, "size": size, **more})
        return await self.client.post(
            self.url, body, content_type="application/json", headers=self.headers
        )

    async def begun(self, **options: Any) -> str:
        response = await self.begin(**options)
        assert response.status_code == 201, response.content
        return str(response.json()["id"])

    async def patch(self, upload: object, offset: object, data: bytes) -> Any:
        return await self.client.patch(
            f"{self.url}{upload}/",
            data,
            content_type="application/octet-stream",
            headers=self.headers | {"upload-offset": str(offset)},
        )

    async def offset(self, upload: object) -> int:
        response = await self.client.head(f"{self.url}{upload}/", headers=self.headers)
        assert response.status_code == 200
        assert response["Upload-Length"] == str(len(CONTENT))
        return int(response["Upload-Offset"])

    async def finish(self, upload: object, body: str = "") -> Any:
        return await self.client.post(
            f"{self.url}{upload}/finish/",
            body,
            content_type="application/json",
            headers=self.headers,
        )

    async def delete(self, upload: object) -> Any:
        return await self.client.delete(f"{self.url}{upload}/", headers=self.headers)


@pytest.fixture
async def sandbox(agent_session: Session, sandbox_runtime: Runtime) -> Sandbox:
    return await sandbox_runtime.sandboxes.connect(agent_session)


@pytest.fixture
def uploads(alices: AsyncClient, agent_session: Session, sandbox: Sandbox) -> Uploads:
    return Uploads(alices, agent_session.id)


async def content_of(sandbox: Sandbox, path: str) -> bytes:
    return b"".join([piece async for piece in sandbox.read_file(path)])


def parts(settings: Any) -> list[Path]:
    return list(Path(settings.VAR_DIR).glob("uploads/*/parts/*"))


async def test_pieces_become_the_file_when_it_is_finished(uploads, sandbox, settings):
    upload = await uploads.begun(path="in/deep/big%20%FF.bin")
    assert await uploads.offset(upload) == 0
    for start in range(0, len(CONTENT), 300_000):
        response = await uploads.patch(upload, start, CONTENT[start : start + 300_000])
        assert response.status_code == 204
        assert int(response["Upload-Offset"]) == min(start + 300_000, len(CONTENT))
    assert await sandbox.list_dir("") == [], "nothing is there before it is whole"
    response = await uploads.finish(upload)
    assert response.status_code == 200
    assert response.json()["query"] == "in/deep/big%20%FF.bin"
    assert await content_of(sandbox, "in/deep/big \udcff.bin") == CONTENT
    assert parts(settings) == []


async def test_an_empty_file_needs_no_piece(uploads, sandbox):
    upload = await uploads.begun(path="empty", size=0)
    assert (await uploads.finish(upload)).status_code == 200
    assert (await sandbox.stat("empty")).size == 0


@pytest.mark.parametrize("offset", [0, 99, 101, len(CONTENT), 10**17])
async def test_a_piece_that_begins_elsewhere_is_refused_and_told_where(uploads, offset):
    upload = await uploads.begun()
    await uploads.patch(upload, 0, CONTENT[:100])
    response = await uploads.patch(upload, offset, CONTENT[offset:][:100] or b"x")
    assert error_of(response) == (409, "wrong_offset")
    assert response["Upload-Offset"] == "100"
    assert await uploads.offset(upload) == 100


@pytest.mark.parametrize("offset", ["", "-1", "1.0", "x", "٣", "9" * 19])
async def test_an_offset_that_is_no_number_is_refused(uploads, offset):
    upload = await uploads.begun()
    response = await uploads.patch(upload, offset.encode("utf-8").decode("latin1"), b"x")
    assert error_of(response) == (400, "invalid_input")


async def test_more_than_was_announced_is_refused_and_leaves_what_was_there(uploads, settings):
    upload = await uploads.begun()
    await uploads.patch(upload, 0, CONTENT[:-10])
    response = await uploads.patch(upload, len(CONTENT) - 10, b"x" * 11)
    assert error_of(response) == (400, "invalid_input")
    assert await uploads.offset(upload) == len(CONTENT) - 10
    assert parts(settings)[0].stat().st_size == len(CONTENT) - 10


async def test_what_a_killed_server_wrote_but_never_acknowledged_is_sent_again(
    uploads, sandbox, settings
):
    upload = await uploads.begun()
    await uploads.patch(upload, 0, CONTENT[:1000])
    with parts(settings)[0].open("ab") as part:
        part.write(b"\0" * 5000)
    assert await uploads.offset(upload) == 1000
    await uploads.patch(upload, 1000, CONTENT[1000:])
    assert (await uploads.finish(upload)).status_code == 200
    assert await content_of(sandbox, "big.bin") == CONTENT


async def test_finishing_too_early_says_what_is_missing(uploads, sandbox):
    upload = await uploads.begun()
    await uploads.patch(upload, 0, CONTENT[:1000])
    response = await uploads.finish(upload)
    assert error_of(response) == (409, "wrong_offset")
    assert response["Upload-Offset"] == "1000"
    assert await sandbox.list_dir("") == []


async def test_finishing_twice_is_finishing_once(uploads, sandbox):
    upload = await uploads.begun()
    await uploads.patch(upload, 0, CONTENT)
    first = await uploads.finish(upload)
    await sandbox.write_file("big.bin", b"changed since")
    second = await uploads.finish(upload)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json()["size"] == len(b"changed since")
    assert error_of(await uploads.patch(upload, len(CONTENT), b"x")) == (409, "wrong_offset")


async def test_the_checksum_is_held_to(uploads, sandbox, settings):
    good = hashlib.sha256(CONTENT).hexdigest()
    upload = await uploads.begun(sha256=good.upper())
    await uploads.patch(upload, 0, CONTENT)
    assert (await uploads.finish(upload)).status_code == 200
    wrong = await uploads.begun(path="other", sha256="0" * 64)
    await uploads.patch(wrong, 0, CONTENT)
    assert error_of(await uploads.finish(wrong)) == (400, "checksum_mismatch")
    assert [entry.name for entry in await sandbox.list_dir("")] == ["big.bin"]
    assert error_of(await uploads.finish(wrong)) == (404, "not_found")
    assert parts(settings) == []


async def test_a_name_that_is_taken_is_told_at_the_beginning_and_at_the_end(uploads, sandbox):
    await sandbox.write_file("taken", b"before")
    assert error_of(await uploads.begin(path="taken")) == (409, "entry_exists")
    upload = await uploads.begun(path="late")
    await uploads.patch(upload, 0, CONTENT)
    await sandbox.write_file("late", b"before")
    assert error_of(await uploads.finish(upload)) == (409, "entry_exists")
    assert await content_of(sandbox, "late") == b"before"
    assert (await uploads.finish(upload, '{"overwrite": true}')).status_code == 200
    assert await content_of(sandbox, "late") == CONTENT
    upload = await uploads.begun(path="taken", overwrite=True)
    await uploads.patch(upload, 0, CONTENT)
    assert (await uploads.finish(upload)).status_code == 200
    assert await content_of(sandbox, "taken") == CONTENT


async def test_giving_up_removes_what_was_sent(uploads, settings):
    upload = await uploads.begun()
    await uploads.patch(upload, 0, CONTENT[:1000])
    assert len(parts(settings)) == 1
    assert (await uploads.delete(upload)).status_code == 204
    assert parts(settings) == []
    assert error_of(await uploads.patch(upload, 1000, b"x")) == (404, "not_found")
    assert error_of(await uploads.finish(upload)) == (404, "not_found")


async def test_abandoned_uploads_expire_and_others_stay(uploads, settings):
    old, new = await uploads.begun(path="old"), await uploads.begun(path="new")
    stray = parts(settings)[0].with_name(uuid.uuid4().hex)
    stray.touch()
    past = timezone.now() - file_uploads.LIFE - dt.timedelta(minutes=1)

    os.utime(stray, (past.timestamp(), past.timestamp()))
    await FileUpload.objects.filter(id=old).aupdate(touched_at=past)
    await services.file_uploads_expire()
    assert [part.name for part in parts(settings)] == [uuid.UUID(new).hex]
    listed = (await uploads.client.get(uploads.url, headers=uploads.headers)).json()["uploads"]
    assert [upload["path"] for upload in listed] == ["new"]


async def test_a_part_that_is_gone_from_the_host_is_owned_up_to(uploads, settings):
    upload = await uploads.begun()
    shutil.rmtree(Path(settings.VAR_DIR) / "uploads")
    assert error_of(await uploads.patch(upload, 0, b"x")) == (404, "not_found")


async def test_limits(uploads, settings):
    settings.BERTH_MAX_UPLOAD_MB = 1
    assert error_of(await uploads.begin(size=MIB + 1)) == (413, "file_too_large")
    for number in range(file_uploads.MAX_OPEN):
        await uploads.begun(path=f"file{number}", size=MIB)
    assert error_of(await uploads.begin(path="more", size=1)) == (409, "conflict")


async def test_no_room_is_told_with_sizes_before_anything_is_sent(uploads, settings):
    settings.BERTH_MAX_UPLOAD_MB = 1 << 40
    response = await uploads.begin(size=1 << 55)
    assert error_of(response) == (507, "disk_full")
    assert f"{(1 << 55) // MIB} MiB needed" in response.json()["error"]["message"]


@contextmanager
def room_for(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of that size in the place of `folder`."""
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"]
    subprocess.run(["mount", *options, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.docker
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system, as root alone may")
async def test_a_disk_that_fills_up_keeps_what_was_acknowledged(uploads, settings):
    upload = await uploads.begun(size=3 * MIB)
    (part,) = parts(settings)
    with room_for(part.parent, 2):
        part.touch()
        assert (await uploads.patch(upload, 0, b"a" * MIB)).status_code == 204
        response = await uploads.patch(upload, MIB, b"b" * 2 * MIB)
        assert error_of(response) == (507, "disk_full")
        assert "2 MiB needed" in response.json()["error"]["message"]
        assert part.read_bytes() == b"a" * MIB


@pytest.mark.parametrize(
    ("path", "status"),
    [("..", 403), ("a/../../b", 403), ("/etc/passwd", 403), ("a%00b", 400), ("", 400), (5, 400)],
)
async def test_paths_that_lead_out_are_refused(uploads, path, status):
    assert (await uploads.begin(path=path)).status_code == status


@pytest.mark.parametrize("size", [-1, 1.5, "5", None, True])
async def test_sizes_that_are_none_are_refused(uploads, size):
    assert error_of(await uploads.begin(size=size)) == (400, "invalid_input")


@pytest.mark.parametrize("more", [{"sha256": "x"}, {"sha256": 5}, {"overwrite": 1}])
async def test_odd_options_are_refused(uploads, more):
    assert error_of(await uploads.begin(**more)) == (400, "invalid_input")


async def test_an_upload_of_one_session_is_not_found_in_another(
    uploads, alices, alice, agent_session
):
    upload = await uploads.begun()
    other = await Session.objects.acreate(owner=alice, title="Other", image="child")
    elsewhere = Uploads(alices, other.id)
    assert error_of(await elsewhere.patch(upload, 0, b"x")) == (404, "not_found")
    assert error_of(await elsewhere.delete(upload)) == (404, "not_found")
    assert await uploads.offset(upload) == 0


async def every_request(uploads: Uploads, upload: str) -> list[Any]:
    return [
        await uploads.begin(path="mine"),
        await uploads.client.get(uploads.url, headers=uploads.headers),
        await uploads.client.get(f"{uploads.url}{upload}/", headers=uploads.headers),
        await uploads.patch(upload, 0, b"x"),
        await uploads.finish(upload),
        await uploads.delete(upload),
    ]


async def test_another_user_cannot_tell_it_from_nothing(uploads, bobs, agent_session):
    upload = await uploads.begun()
    for response in await every_request(Uploads(bobs, agent_session.id), upload):
        assert error_of(response) == (404, "not_found")
    assert await uploads.offset(upload) == 0


async def test_a_stranger_must_sign_in(uploads, async_client, agent_session):
    upload = await uploads.begun()
    for response in await every_request(Uploads(async_client, agent_session.id), upload):
        assert error_of(response) == (401, "unauthorized")
    assert await uploads.offset(upload) == 0


async def test_a_browser_needs_the_csrf_token(uploads, alice, agent_session):
    upload = await uploads.begun()
    client = AsyncClient(enforce_csrf_checks=True)
    await client.aforce_login(alice)
    forged = Uploads(client, agent_session.id)
    for response in (
        await forged.begin(path="mine"),
        await forged.patch(upload, 0, b"x"),
        await forged.finish(upload),
        await forged.delete(upload),
    ):
        assert response.status_code == 403
    assert await uploads.offset(upload) == 0


async def test_a_key_is_enough(alice: User, agent_session: Session, sandbox: Sandbox) -> None:
    _, secret = await services.api_key_create(user=alice, name="nightly")
    client = AsyncClient(enforce_csrf_checks=True)
    program = Uploads(client, agent_session.id, authorization=f"Bearer {secret}")
    upload = await program.begun()
    assert (await program.patch(upload, 0, CONTENT)).status_code == 204
    assert (await program.finish(upload)).status_code == 200
    assert await content_of(sandbox, "big.bin") == CONTENT
