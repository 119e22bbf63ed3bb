"""No path and no link leads out of the workspace, whatever is done with it."""

import asyncio

import pytest

from sessions.errors import EntryNotFoundError, FileAccessError, OutsideWorkspaceError
from tests.sandbox.running import run, shell

OUTSIDE = ["/etc/passwd", "..", "../x", "a/../../x", "a/..", "/", "//etc/passwd", "x\0y", "./.."]


async def read(sandbox, path):
    return b"".join([chunk async for chunk in sandbox.read_file(path)])


async def every_verb(sandbox, path):
    """Each verb with that path, as calls to make."""
    return [
        lambda: sandbox.stat(path),
        lambda: sandbox.list_dir(path),
        lambda: read(sandbox, path),
        lambda: sandbox.write_file(path, b"x"),
        lambda: sandbox.make_dir(path),
        lambda: sandbox.rename(path, "inside"),
        lambda: sandbox.rename("there", path),
        lambda: sandbox.remove(path),
        lambda: anext(sandbox.archive(path, format="tar")),
    ]


@pytest.mark.parametrize("path", OUTSIDE)
async def test_paths_that_lead_out_are_refused_by_every_verb(sandbox, path):
    await sandbox.write_file("there", b"x")
    for call in await every_verb(sandbox, path):
        with pytest.raises(OutsideWorkspaceError):
            await call()


@pytest.mark.parametrize("target", ["/", "/etc", "../../../..", "..", "/workspace/../etc"])
async def test_links_that_lead_out_are_not_followed_on_the_way(sandbox, target):
    await sandbox.write_file("there", b"x")
    await run(sandbox, shell(f"ln -s {target} way"))
    for call in await every_verb(sandbox, "way/passwd"):
        with pytest.raises(OutsideWorkspaceError):
            await call()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd", "/etc"])
async def test_links_that_lead_out_are_not_read(sandbox, target):
    await run(sandbox, shell(f"ln -s {target} out; ln -s out again"))
    for path in ("out", "again"):
        with pytest.raises(OutsideWorkspaceError):
            await read(sandbox, path)
        with pytest.raises(OutsideWorkspaceError):
            await sandbox.stat(path)
        with pytest.raises(OutsideWorkspaceError):
            await sandbox.list_dir(path)


async def test_links_within_are_followed_for_reading(sandbox):
    await sandbox.write_file("d/f", b"data")
    await run(sandbox, shell('ln -s d l; ln -s "$PWD/d/f" absolute; ln -s ../l/f d/back'))
    assert await read(sandbox, "l/f") == b"data"
    assert await read(sandbox, "absolute") == b"data"
    assert await read(sandbox, "d/back") == b"data"
    assert [entry.path for entry in await sandbox.list_dir("l")] == ["l/back", "l/f"]


async def test_a_link_is_replaced_removed_and_renamed_itself(sandbox):
    await run(sandbox, shell("echo keep > kept; ln -s kept a; ln -s kept b; ln -s /etc out"))
    await sandbox.write_file("a", b"new")
    await sandbox.remove("b")
    await sandbox.rename("out", "still-out")
    assert await read(sandbox, "kept") == b"keep\n"
    assert (await run(sandbox, shell("readlink still-out; cat a"))).stdout == b"/etc\nnew"


async def test_a_dangling_link_is_not_found(sandbox):
    await run(sandbox, shell("ln -s gone l"))
    with pytest.raises(EntryNotFoundError):
        await read(sandbox, "l")


async def test_swapping_a_folder_for_a_link_never_leads_out(sandbox):
    """The race that a check before use would lose."""
    await run(sandbox, shell("mkdir d e; echo inside > d/passwd; echo inside > e/passwd"))
    swap = "while :; do mv d x; ln -s /etc d; rm d; mv x d; done 2>/dev/null"
    swapping = await sandbox.exec(shell(swap))
    for _attempt in range(100):
        try:
            assert await read(sandbox, "d/passwd") == b"inside\n"
        except FileAccessError:
            continue
    await swapping.stop()


async def test_a_listing_during_changes_is_a_listing(sandbox):
    churn = "while :; do touch a$((i=i+1)); rm -f a$((i-5)); done"
    churning = await sandbox.exec(shell(churn))
    async with asyncio.timeout(20):
        for _attempt in range(20):
            await sandbox.list_dir("")
    await churning.stop()
