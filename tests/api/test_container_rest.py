"""The files of a container as one archive and back, and a container that rests because it was
told to."""

import io
import tarfile
import uuid
import zipfile
from typing import TypeAlias

import httpx2
import pytest
import zstandard

from sessions.models import OpenExec, Session
from sessions.responses.ids import CONTAINER, format_id
from tests.api.conftest import HttpOf
from tests.api.test_container_exec import new_container, run

Http: TypeAlias = httpx2.AsyncClient
MAKE = (
    "mkdir -p a/b && echo one > a/b/one && ln -s b/one a/link && head -c 3000000 /dev/zero > big"
)


def unpacked(data: bytes) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.issym():
                found[member.name] = member.linkname
            elif member.isfile():
                file = archive.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


WANTED = {"a/b/one": b"one\n", "a/link": "b/one", "big": bytes(3_000_000)}


async def test_the_workspace_comes_as_one_archive(http: Http) -> None:
    container = await new_container(http)
    await run(http, container, MAKE)
    answer = await http.get(f"/containers/{container}/archive")
    assert answer.headers["content-type"] == "application/zstd"
    assert answer.headers["content-disposition"].startswith("attachment")
    data = zstandard.ZstdDecompressor().decompressobj().decompress(answer.content)
    assert unpacked(data) == WANTED
    plain = await http.get(f"/containers/{container}/archive?format=tar")
    assert unpacked(plain.content) == WANTED


@pytest.mark.parametrize("by_header", [False, True])
async def test_or_as_a_zip(http: Http, *, by_header: bool) -> None:
    container = await new_container(http)
    await run(http, container, MAKE)
    answer = await http.get(
        f"/containers/{container}/archive" + ("" if by_header else "?format=zip"),
        headers={"Accept": "application/zip"} if by_header else {},
    )
    assert answer.headers["content-type"] == "application/zip"
    assert zipfile.ZipFile(io.BytesIO(answer.content)).read("a/b/one") == b"one\n"


@pytest.mark.parametrize("format", ["tar", "tar.zst"])
async def test_an_archive_goes_into_another_container(http: Http, format: str) -> None:
    source, target = await new_container(http), await new_container(http)
    await run(http, source, MAKE)
    await run(http, target, "echo kept > kept; echo old > big")
    data = (await http.get(f"/containers/{source}/archive?format={format}")).content
    answer = await http.post(f"/containers/{target}/archive", content=data)
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == target
    again = await http.get(f"/containers/{target}/archive?format=tar")
    assert unpacked(again.content) == {**WANTED, "kept": b"kept\n"}


@pytest.mark.parametrize(
    "data", [b"", b"no archive" * 100, b"\x28\xb5\x2f\xfd broken", b"\x28\xb5\x2f\xfd"]
)
async def test_what_is_no_archive_is_refused(http: Http, data: bytes) -> None:
    container = await new_container(http)
    await run(http, container, "echo kept > kept")
    answer = await http.post(f"/containers/{container}/archive", content=data)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert (await run(http, container, "ls"))["stdout"] == "kept\n"


async def test_an_unknown_format_is_refused(http: Http) -> None:
    container = await new_container(http)
    answer = await http.get(f"/containers/{container}/archive?format=rar")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "format")


async def test_a_container_rests_and_starts_when_it_is_told_to(http: Http) -> None:
    container = await new_container(http)
    await run(http, container, "echo kept > kept")
    rests = await http.post(f"/containers/{container}/suspend")
    assert (rests.status_code, rests.json()["state"]) == (200, "suspended")
    assert not (await Session.objects.aget()).container_id
    again = await http.post(f"/containers/{container}/suspend")
    assert again.json()["state"] == "suspended"
    woken = await http.post(f"/containers/{container}/resume")
    assert (woken.status_code, woken.json()["state"]) == (200, "connected")
    assert (await run(http, container, "cat kept"))["stdout"] == "kept\n"


async def test_one_that_was_never_started_rests_as_it_is(http: Http) -> None:
    container = await new_container(http)
    answer = await http.post(f"/containers/{container}/suspend")
    assert (answer.status_code, answer.json()["state"]) == (200, "pending")


async def test_what_runs_for_a_program_is_not_cut(http: Http) -> None:
    container = await new_container(http)
    session = await Session.objects.aget()
    await OpenExec.objects.acreate(call_id="exec-1", session=session, holder="x")
    answer = await http.post(f"/containers/{container}/suspend")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "archive"), ("POST", "archive"), ("POST", "suspend"), ("POST", "resume")],
)
async def test_strangers_and_others_find_nothing(
    http: Http, bobs_http: Http, http_of: HttpOf, method: str, path: str
) -> None:
    container = await new_container(http)
    unknown = format_id(CONTAINER, uuid.uuid4())
    texts = set()
    for one in (container, unknown):
        answer = await bobs_http.request(method, f"/containers/{one}/{path}")
        assert answer.status_code == 404
        texts.add(answer.text.replace(one, "X"))
    assert len(texts) == 1
    stranger = await http_of(None).request(method, f"/containers/{container}/{path}")
    assert stranger.status_code == 401
    assert (await Session.objects.aget()).container_state == "pending"
