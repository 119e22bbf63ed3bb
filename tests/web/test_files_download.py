"""Downloads: exact bytes and ranges, safe headers, and no end that only looks like one."""

from urllib.parse import unquote_to_bytes

import pytest
from django.test import AsyncClient

from sessions.errors import ConflictError
from sessions.models import Session
from sessions.runtime.process import Runtime
from sessions.sandbox.base import Sandbox
from sessions.workspace.files import read_exactly
from tests.web.file_requests import FileRequests, body_of, error_of, in_workspace

DATA = bytes(range(256)) * 1000
SIZE = len(DATA)


@pytest.fixture
async def sandbox(agent_session: Session, sandbox_runtime: Runtime) -> Sandbox:
    return await sandbox_runtime.sandboxes.connect(agent_session)


@pytest.fixture
async def files(alices: AsyncClient, agent_session: Session, sandbox: Sandbox) -> FileRequests:
    await sandbox.write_file("data.bin", DATA)
    return FileRequests(alices, agent_session)


async def test_a_download_is_the_file_and_says_so(files: FileRequests) -> None:
    response = await files.get("raw", "data.bin")
    assert response.status_code == 200
    assert await body_of(response) == DATA
    assert response["Content-Length"] == str(SIZE)
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Accept-Ranges"] == "bytes"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Content-Disposition"].startswith("attachment; ")


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=100-199", 100, 200),
        ("bytes=255999-", SIZE - 1, SIZE),
        ("bytes=255990-999999999", SIZE - 10, SIZE),
        ("bytes=-10", SIZE - 10, SIZE),
        ("bytes=-999999999", 0, SIZE),
    ],
)
async def test_a_range_is_answered_with_exactly_its_bytes(
    files: FileRequests, header: str, start: int, stop: int
) -> None:
    response = await files.get("raw", "data.bin", headers={"range": header})
    assert response.status_code == 206
    assert await body_of(response) == DATA[start:stop]
    assert response["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert response["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("header", ["bytes=256000-", "bytes=300000-400000", "bytes=-0"])
async def test_a_range_outside_is_416(files: FileRequests, header: str) -> None:
    response = await files.get("raw", "data.bin", headers={"range": header})
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "header",
    ["bytes=5-2", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "bytes=" + "9" * 40 + "-"],
)
async def test_what_is_no_single_range_gives_the_whole(files: FileRequests, header: str) -> None:
    response = await files.get("raw", "data.bin", headers={"range": header})
    assert response.status_code == 200
    assert await body_of(response) == DATA


async def test_a_range_of_another_version_gives_the_whole(
    files: FileRequests, sandbox: Sandbox
) -> None:
    etag = (await files.head("raw", "data.bin"))["ETag"]
    resumed = {"range": "bytes=10-", "if-range": etag}
    assert (await files.get("raw", "data.bin", headers=resumed)).status_code == 206
    await sandbox.write_file("data.bin", DATA[::-1])
    changed = await files.get("raw", "data.bin", headers=resumed)
    assert changed.status_code == 200
    assert await body_of(changed) == DATA[::-1]
    by_date = {"range": "bytes=10-", "if-range": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert (await files.get("raw", "data.bin", headers=by_date)).status_code == 200


async def test_head_tells_all_and_sends_nothing(files: FileRequests) -> None:
    response = await files.head("raw", "data.bin")
    assert response.status_code == 200
    assert not response.streaming
    assert response.content == b""
    assert response["Content-Length"] == str(SIZE)
    assert response["ETag"]


async def test_an_unchanged_file_is_a_304(files: FileRequests) -> None:
    etag = (await files.head("raw", "data.bin"))["ETag"]
    response = await files.get("raw", "data.bin", headers={"if-none-match": etag})
    assert (response.status_code, response.content) == (304, b"")


async def test_an_empty_file_is_downloaded(files: FileRequests, sandbox: Sandbox) -> None:
    await sandbox.write_file("empty", b"")
    response = await files.get("raw", "empty")
    assert (response.status_code, response["Content-Length"]) == (200, "0")
    assert await body_of(response) == b""
    ranged = await files.get("raw", "empty", headers={"range": "bytes=0-"})
    assert ranged.status_code == 416


async def test_the_end_of_five_sparse_gigabytes(files: FileRequests, sandbox: Sandbox) -> None:
    await in_workspace(sandbox, "truncate -s 5G big; printf end >> big")
    response = await files.get("raw", "big", headers={"range": "bytes=-5"})
    assert response["Content-Range"] == "bytes 5368709118-5368709122/5368709123"
    assert await body_of(response) == b"\0\0end"


@pytest.mark.parametrize(
    ("name", "sent_as"),
    [
        ("plain.txt", b"plain.txt"),
        ('quote".txt', b'quote".txt'),
        ("new\nline\r.txt", b"new\nline\r.txt"),
        ("naïve €.txt", "naïve €.txt".encode()),
        ("semi;colon=1, two%41.txt", b"semi;colon=1, two%41.txt"),
        ("it's (1) *.txt", b"it's (1) *.txt"),
        ("\udcff.bin", b"\\xff.bin"),
        ("\u202egpj.exe", "\u202egpj.exe".encode()),
    ],
)
async def test_any_name_is_safe_in_the_header(
    files: FileRequests, sandbox: Sandbox, name: str, sent_as: bytes
) -> None:
    await sandbox.write_file(name, b"x")
    header = (await files.get("raw", name))["Content-Disposition"]
    kind, plain, extended = header.split("; ", 2)
    assert kind == "attachment"
    assert plain.startswith('filename="')
    assert plain.endswith('"')
    assert not set(plain[10:-1]) & set('"\\/%')
    assert header.isascii()
    assert header.isprintable()
    encoded = extended.removeprefix("filename*=UTF-8''")
    assert not set(encoded) & set("\"'();, */:<=>?@[\\]{}")
    assert unquote_to_bytes(encoded) == sent_as


async def test_a_file_that_may_not_be_read_is_an_error_not_half_an_answer(
    files: FileRequests, sandbox: Sandbox
) -> None:
    await in_workspace(sandbox, "echo x > secret; chmod 000 secret")
    assert error_of(await files.get("raw", "secret")) == (400, "file_error")


async def test_a_file_that_shrinks_meanwhile_is_an_error_not_a_short_answer(
    sandbox: Sandbox,
) -> None:
    await sandbox.write_file("f", bytes(10))
    pieces = read_exactly(sandbox, "f", offset=0, length=11)
    assert await anext(pieces) == bytes(10)
    with pytest.raises(ConflictError):
        await anext(pieces)


async def test_a_file_that_grows_meanwhile_ends_where_it_was_promised(
    files: FileRequests, sandbox: Sandbox
) -> None:
    response = await files.get("raw", "data.bin")
    await in_workspace(sandbox, "echo more >> data.bin")
    assert await body_of(response) == DATA
