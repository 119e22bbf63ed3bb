"""Archives are read back by other programs and hold what is in the folder, bit for bit."""

import asyncio
import hashlib
import io
import os
import stat
import tarfile
import zipfile

import pytest
from typing_extensions import override

from sessions.errors import EntryNotFoundError, WrongEntryKindError
from sessions.sandbox.guest.archive import write_archive
from sessions.sandbox.guest.contained import Workspace
from tests.sandbox.memory import proportional_mb
from tests.sandbox.running import run, shell

TREE = """
mkdir -p top/inner/empty
printf 'hello' > top/a.txt
head -c 3000000 /dev/urandom > top/inner/big.bin
ln -s a.txt top/link
ln -s /etc/passwd top/outside
ln -s .. top/inner/up
mkfifo top/fifo
printf '#!/bin/sh' > top/run.sh; chmod 755 top/run.sh
touch -d @1000000000 top/a.txt
"""


async def archive(sandbox, path, form):
    return b"".join([chunk async for chunk in sandbox.archive(path, format=form)])


def opened_tar(data: bytes) -> tarfile.TarFile:
    return tarfile.TarFile(fileobj=io.BytesIO(data), errors="surrogateescape")


def names_in(data: bytes, form: str) -> list[str]:
    if form == "tar":
        return opened_tar(data).getnames()
    return [name.rstrip("/") for name in zipfile.ZipFile(io.BytesIO(data)).namelist()]


async def checksum(sandbox, path):
    return (await run(sandbox, shell(f"sha256sum '{path}'"))).stdout.split()[0].decode()


async def test_a_zip_holds_the_tree(sandbox):
    await run(sandbox, shell(TREE))
    found = zipfile.ZipFile(io.BytesIO(await archive(sandbox, "top", "zip")))
    assert found.testzip() is None
    assert found.namelist() == [
        "top/",
        "top/a.txt",
        "top/inner/",
        "top/inner/big.bin",
        "top/inner/empty/",
        "top/inner/up",
        "top/link",
        "top/outside",
        "top/run.sh",
    ]
    big = found.read("top/inner/big.bin")
    assert hashlib.sha256(big).hexdigest() == await checksum(sandbox, "top/inner/big.bin")
    assert found.read("top/outside") == b"/etc/passwd"
    assert stat.S_ISLNK(found.getinfo("top/outside").external_attr >> 16)
    assert stat.S_IMODE(found.getinfo("top/run.sh").external_attr >> 16) == 0o755
    assert found.getinfo("top/a.txt").date_time == (2001, 9, 9, 1, 46, 40)


async def test_a_tar_holds_the_tree(sandbox):
    await run(sandbox, shell(TREE))
    found = opened_tar(await archive(sandbox, "top", "tar"))
    members = {member.name: member for member in found.getmembers()}
    assert list(members) == sorted(members)
    assert "top/fifo" not in members
    assert members["top/outside"].linkname == "/etc/passwd"
    assert members["top/run.sh"].mode == 0o755
    assert members["top/a.txt"].mtime == 1000000000
    inside = found.extractfile("top/inner/big.bin")
    assert inside is not None
    big = inside.read()
    assert hashlib.sha256(big).hexdigest() == await checksum(sandbox, "top/inner/big.bin")


@pytest.mark.parametrize("form", ["zip", "tar"])
async def test_the_whole_workspace_has_no_prefix(sandbox, form):
    await sandbox.write_file("a/b", b"x")
    assert names_in(await archive(sandbox, "", form), form) == ["a", "a/b"]


@pytest.mark.parametrize("form", ["zip", "tar"])
async def test_an_archive_of_nothing_is_one(sandbox, form):
    assert names_in(await archive(sandbox, "", form), form) == []


async def test_the_same_folder_gives_the_same_bytes(sandbox):
    await run(sandbox, shell("for i in $(seq 50); do echo $i > f$i; done"))
    for form in ("zip", "tar"):
        assert await archive(sandbox, "", form) == await archive(sandbox, "", form)


async def test_strange_names_survive(sandbox):
    names = [b"\xff\xfe", "caf\u00e9".encode(), b"new\nline", b"n" * 200, "\u202egpj".encode()]
    for name in names:
        await sandbox.write_file("d/" + name.decode("utf-8", "surrogateescape"), name)
    tar = opened_tar(await archive(sandbox, "d", "tar"))
    inside = {member.name.encode("utf-8", "surrogateescape") for member in tar.getmembers()}
    assert inside == {b"d", *(b"d/" + name for name in names)}
    found = zipfile.ZipFile(io.BytesIO(await archive(sandbox, "d", "zip")))
    assert found.testzip() is None
    assert {found.read(name) for name in found.namelist()} == {b"", *names}
    assert "d/caf\u00e9" in found.namelist()


async def test_folders_without_end_leave_the_rest_in_the_archive(sandbox):
    deep = "mkdir top; echo 1 > top/file; cd top; for i in $(seq 230); do mkdir d; cd d; done"
    await run(sandbox, shell(f"{deep}; echo 2 > deepest"))
    names = names_in(await archive(sandbox, "top", "zip"), "zip")
    assert "top/file" in names
    assert "/".join(["top"] + 150 * ["d"]) in names
    assert not [name for name in names if name.endswith("deepest")]
    assert names_in(await archive(sandbox, "top", "tar"), "tar")


async def test_unzip_reads_it(sandbox, tmp_path):
    await run(sandbox, shell(TREE))
    (tmp_path / "a.zip").write_bytes(await archive(sandbox, "top", "zip"))
    process = await asyncio.create_subprocess_exec(
        "python3", "-m", "zipfile", "-t", str(tmp_path / "a.zip"), stdout=asyncio.subprocess.PIPE
    )
    assert b"Done testing" in (await process.communicate())[0]


@pytest.mark.slow
async def test_more_entries_than_sixteen_bits_count(sandbox):
    await run(sandbox, shell("mkdir many; cd many; seq 70000 | xargs touch"))
    found = zipfile.ZipFile(io.BytesIO(await archive(sandbox, "many", "zip")))
    assert len(found.namelist()) == 70_001


@pytest.mark.slow
async def test_a_sparse_file_of_five_gigabytes(tmp_path):
    """The file process's own work: the way through the channel is the same for any size."""
    with (tmp_path / "big").open("wb") as big:
        big.truncate(5 << 30)
    (tmp_path / "z").write_bytes(b"small")
    place = Workspace(str(tmp_path)).place(b"")
    source, target = os.pipe()
    reading = asyncio.create_task(asyncio.to_thread(_count_and_keep_the_end, source))
    await asyncio.to_thread(write_archive, place, "zip", target)
    os.close(target)
    total, tail = await reading
    # The end alone, behind a hole of the right length: what an archive program reads first.
    found = zipfile.ZipFile(_Tail(tail, total))
    assert [(info.filename, info.file_size) for info in found.infolist()] == [
        ("big", 5 << 30),
        ("z", 5),
    ]
    assert found.read("z") == b"small"


@pytest.mark.slow
async def test_a_gigabyte_is_streamed_within_bounds(child):
    await run(child.channel, shell("fallocate -l 1G big"))
    guest = child.backend.guest(child.container_id)
    before = proportional_mb(guest.process.pid)
    total = 0
    async for chunk in child.channel.archive("", format="tar"):
        total += len(chunk)
    assert total == -((1 << 30) + 512 + 1024) // 10240 * -10240  # whole records
    assert proportional_mb(guest.process.pid) - before < 8


def _count_and_keep_the_end(fd: int) -> tuple[int, bytes]:
    total, tail = 0, b""
    while data := os.read(fd, 1 << 20):
        total += len(data)
        tail = tail[-2000:] + data[-2000:]
    os.close(fd)
    return total, tail


class _Tail(io.RawIOBase):
    def __init__(self, tail: bytes, total: int) -> None:
        self._tail, self._total, self._at = tail, total, 0

    @override
    def seekable(self) -> bool:
        return True

    @override
    def readable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self._total}[whence]
        return self._at

    @override
    def tell(self) -> int:
        return self._at

    @override
    def read(self, size: int = -1) -> bytes:
        start = self._at - (self._total - len(self._tail))
        assert start >= 0, "only the end is kept"
        data = self._tail[start:] if size < 0 else self._tail[start : start + size]
        self._at += len(data)
        return data


async def test_files_that_cannot_be_read_are_left_out(sandbox):
    await run(sandbox, shell("echo a > a; echo b > b; mkdir c; echo d > c/d; chmod 000 b c"))
    found = zipfile.ZipFile(io.BytesIO(await archive(sandbox, "", "zip")))
    assert found.namelist() == ["a"]


async def test_a_file_that_grows_meanwhile_does_not_break_the_archive(sandbox):
    await run(sandbox, shell("head -c 50000000 /dev/zero > log"))
    growing = await sandbox.exec(shell("while :; do head -c 100000 /dev/zero >> log; done"))
    tar = opened_tar(await archive(sandbox, "", "tar"))
    zipped = zipfile.ZipFile(io.BytesIO(await archive(sandbox, "", "zip")))
    await growing.stop()
    assert tar.getnames() == ["log"]
    assert zipped.testzip() is None


async def test_only_folders_that_exist_are_archived(sandbox):
    await sandbox.write_file("f", b"x")
    with pytest.raises(WrongEntryKindError):
        await archive(sandbox, "f", "zip")
    with pytest.raises(EntryNotFoundError):
        await archive(sandbox, "no", "tar")


async def test_breaking_off_an_archive_disturbs_nothing(sandbox):
    await run(sandbox, shell("fallocate -l 1G big"))
    streaming = sandbox.archive("", format="zip")
    await anext(streaming)
    await streaming.aclose()
    assert (await run(sandbox, shell("echo fine"))).stdout == b"fine\n"
