"""Folders that the guest puts where commands only read."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Mapping

import pytest

from sessions.errors import FileAccessError, InvalidInputError
from sessions.sandbox import names
from sessions.sandbox.base import Sandbox
from tests.sandbox.conftest import Box
from tests.sandbox.running import run, shell

FILES = {"log-1/SKILL.md": b"# How\n", "log-1/scripts/deep/run.sh": b"#!/bin/sh\necho ran\n"}


def packed(files: Mapping[str, bytes], *, kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            info.mode = 0o755 if name.endswith(".sh") else 0o644
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


def place(box: Box) -> str:
    if box.is_container:
        return names.SKILLS_PATH
    return str(box.backend.guest(box.container_id).skills)  # type: ignore[attr-defined]  # ChildBackend


async def said(sandbox: Sandbox, script: str) -> tuple[int | None, str]:
    done = await run(sandbox, shell(script))
    return done.ending.exit_code, (done.stdout + done.stderr).decode()


async def test_commands_read_and_run_them_and_change_nothing(box: Box, sandbox: Sandbox) -> None:
    await sandbox.add_skills(in_pieces(packed(FILES)))
    top = place(box)
    assert await said(sandbox, f"cat {top}/log-1/SKILL.md") == (0, "# How\n")
    assert await said(sandbox, f"{top}/log-1/scripts/deep/run.sh") == (0, "ran\n")
    assert await said(sandbox, f"ls -A {top}") == (0, "log-1\n"), "nothing half made is left"
    for attempt in (
        f"echo x >> {top}/log-1/SKILL.md",
        f"rm -rf {top}/log-1/SKILL.md",
        f"touch {top}/log-1/more",
        f"touch {top}/more",
        f"mv {top}/log-1 {top}/log-2",
        f"chmod 777 {top}/log-1",
        f"mv {top} /tmp/away",
    ):
        assert (await said(sandbox, attempt))[0] != 0, attempt
    assert await said(sandbox, f"cat {top}/log-1/SKILL.md") == (0, "# How\n")


async def test_what_is_there_stays_and_what_is_new_comes_beside_it(
    box: Box, sandbox: Sandbox
) -> None:
    await sandbox.add_skills(in_pieces(packed({"log-1/SKILL.md": b"# How\n"})))
    both = {"log-1/SKILL.md": b"# Other\n", "log-2/SKILL.md": b"# Two\n"}
    await sandbox.add_skills(in_pieces(packed(both)))
    top = place(box)
    assert await said(sandbox, f"cat {top}/log-*/SKILL.md") == (0, "# How\n# Two\n")


@pytest.mark.parametrize(
    "data",
    [
        packed({"file": b"x"}),
        packed({"../up/file": b"x"}),
        packed({"log-9/../../file": b"x"}),
        packed({"/log-9/file": b"x"}),
        packed({"log-9//file": b"x"}),
        packed({"log-9/link": b""}, kind=tarfile.SYMTYPE),
        packed({"log-9/link": b""}, kind=tarfile.LNKTYPE),
        packed({"log-9/pipe": b""}, kind=tarfile.FIFOTYPE),
        packed({"log-9/file": b"x" * 5000})[:2000],
        b"no tar at all",
    ],
)
async def test_anything_but_files_in_folders_is_refused_and_leaves_nothing(
    box: Box, sandbox: Sandbox, data: bytes
) -> None:
    await sandbox.add_skills(in_pieces(packed(FILES)))
    before = await said(sandbox, f"ls -A {place(box)}")
    with pytest.raises((InvalidInputError, FileAccessError)):
        await sandbox.add_skills(in_pieces(data))
    assert await said(sandbox, f"ls -A {place(box)}") == before


async def test_what_is_given_up_leaves_nothing(child: Box) -> None:
    data = packed({"log-9/file": bytes(3_000_000)})
    folder = child.backend.guest(child.container_id).skills  # type: ignore[attr-defined]  # ChildBackend

    async def until_there(*, is_there: bool) -> None:
        async with asyncio.timeout(20):
            while (folder.exists() and bool(list(folder.iterdir()))) != is_there:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def half() -> AsyncIterator[bytes]:
        yield data[: len(data) // 2]
        await until_there(is_there=True)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await child.channel.add_skills(half())
    await until_there(is_there=False)


async def test_a_place_that_is_somebody_elses_is_left_alone(child: Box) -> None:
    """As in an image that has something of its own there."""
    folder = child.backend.guest(child.container_id).skills  # type: ignore[attr-defined]  # ChildBackend
    folder.symlink_to(child.workspace)
    with pytest.raises(FileAccessError):
        await child.channel.add_skills(in_pieces(packed(FILES)))
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(FileAccessError, match="of its own"):
        await child.channel.add_skills(in_pieces(packed(FILES)))
    assert list(folder.iterdir()) == list(child.workspace.iterdir()) == []
