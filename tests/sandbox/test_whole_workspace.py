"""All of the workspace as one archive, and back."""

import asyncio
import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator

import pytest

from sessions.errors import InvalidInputError
from sessions.sandbox.requests import Request
from tests.sandbox.running import run as run_one
from tests.sandbox.running import shell


async def run(sandbox, script: str) -> None:
    done = await run_one(sandbox, shell(script))
    assert done.ending.exit_code == 0, done


async def archived(sandbox) -> bytes:
    return b"".join([piece async for piece in sandbox.archive_all()])


async def in_pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_what_its_user_locked_is_in_it_as_well(sandbox):
    await run(
        sandbox,
        "mkdir locked && echo secret > locked/file && chmod 0 locked/file && chmod 0 locked"
        " && mkfifo pipe && ln -s /etc/passwd link",
    )
    data = await archived(sandbox)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {member.name: member for member in tar.getmembers()}
        assert {"locked", "locked/file", "link"} <= set(found)
        assert found["link"].linkname == "/etc/passwd"
        locked = tar.extractfile("locked/file")
        assert locked is not None
        assert locked.read() == b"secret\n"
    await run(sandbox, "chmod 700 locked && chmod 600 locked/file && rm -r locked pipe link")


async def test_it_comes_back_as_it_was(sandbox):
    await run(
        sandbox,
        "mkdir -p a/b && printf '%s' body > a/b/file && chmod 750 a/b/file"
        " && touch -d @1000000000 a/b/file a/b && ln -s ../gone a/link && chmod 555 a/b",
    )
    data = await archived(sandbox)
    await run(sandbox, "chmod 755 a/b && rm -r a")
    await sandbox.unpack(in_pieces(data))
    await run(
        sandbox,
        'test "$(cat a/b/file)" = body && test "$(stat -c %a a/b/file)" = 750'
        ' && test "$(stat -c %Y a/b/file)" = 1000000000 && test "$(stat -c %Y a/b)" = 1000000000'
        ' && test "$(readlink a/link)" = ../gone && test "$(stat -c %a a/b)" = 555'
        ' && test "$(stat -c %u a/b/file)" = "$(id -u)" && chmod 755 a/b && rm -r a',
    )


@pytest.mark.parametrize("data", [b"no archive at all" * 100, os.urandom(5000)])
async def test_what_is_no_archive_is_refused(sandbox, data):
    with pytest.raises(InvalidInputError):
        await sandbox.unpack(in_pieces(data))


async def test_half_an_archive_is_refused(sandbox):
    await run(sandbox, "head -c 100000 /dev/urandom > big")
    data = await archived(sandbox)
    with pytest.raises(InvalidInputError):
        await sandbox.unpack(in_pieces(data[:50_000]))
    await run(sandbox, "rm -f big")


async def test_a_whole_archive_of_a_folder_is_not_to_be_had(child):
    """Root reads only where nothing leads it out: from the workspace's own top."""
    connection = child.channel._connection
    with pytest.raises(InvalidInputError):
        async with Request(connection, "archive", path="a", format="tar", whole=True) as request:
            await request.result()


HOLES = """
truncate -s 1T huge && printf end | dd of=huge bs=1 seek=1099511627773 conv=notrunc 2>/dev/null
truncate -s 3M empty
for i in $(seq 0 40); do printf part$i | dd of=many bs=1M seek=$i conv=notrunc 2>/dev/null; done
truncate -s 60M many
printf start > tail && truncate -s 5M tail
"""


async def test_a_sparse_terabyte_is_a_small_archive_and_comes_back_sparse(sandbox):
    await run(sandbox, HOLES)
    before = await run_one(sandbox, shell("sha256sum many empty tail && stat -c %s huge"))
    data = await archived(sandbox)
    assert len(data) < 2_000_000
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getmember("huge").size == 1 << 40
        assert tar.getmember("empty").size == 3 << 20
    await run(sandbox, "rm huge many empty tail")
    await sandbox.unpack(in_pieces(data, 10_000))
    after = await run_one(sandbox, shell("sha256sum many empty tail && stat -c %s huge"))
    assert after.stdout == before.stdout
    await run(
        sandbox,
        'test "$(tail -c 3 huge)" = end && test "$(stat -c %b huge)" -lt 1000'
        " && rm huge many empty tail",
    )


async def test_gnu_tar_reads_what_is_sparse(sandbox, tmp_path):
    await run(sandbox, HOLES)
    sums = await run_one(sandbox, shell("sha256sum many empty tail"))
    (tmp_path / "all.tar").write_bytes(await archived(sandbox))
    await asyncio.to_thread(subprocess.run, ["tar", "xf", "all.tar"], cwd=tmp_path, check=True)
    for line in sums.stdout.decode().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    assert (tmp_path / "huge").stat().st_size == 1 << 40
    await run(sandbox, "rm huge many empty tail")
