import asyncio

import pytest

from sessions.errors import (
    EntryExistsError,
    EntryNotFoundError,
    FileAccessError,
    OutsideWorkspaceError,
    WrongEntryKindError,
)
from tests.sandbox.running import run, shell


async def read_all(sandbox, path, **options):
    return b"".join([chunk async for chunk in sandbox.read_file(path, **options)])


async def test_what_was_written_is_read(sandbox):
    data = bytes(range(256)) * 5000
    entry = await sandbox.write_file("a/b/c.bin", data)
    assert (entry.name, entry.path, entry.kind, entry.size) == (
        "c.bin",
        "a/b/c.bin",
        "file",
        len(data),
    )
    assert await read_all(sandbox, "a/b/c.bin") == data


async def test_a_stream_is_written_with_flow_control(sandbox):
    async def chunks():
        for number in range(64):
            yield bytes([number]) * 100_000

    entry = await sandbox.write_file("big", chunks())
    assert entry.size == 6_400_000
    data = await read_all(sandbox, "big")
    assert data == b"".join(bytes([number]) * 100_000 for number in range(64))


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, 0, b""),
        (0, 3, b"012"),
        (7, None, b"789"),
        (7, 100, b"789"),
        (10, 5, b""),
        (1 << 40, None, b""),
    ],
)
async def test_a_range_of_a_file(sandbox, offset, length, expected):
    await sandbox.write_file("digits", b"0123456789")
    assert await read_all(sandbox, "digits", offset=offset, length=length) == expected


async def test_a_reader_that_stops_early_disturbs_nothing(sandbox):
    await sandbox.write_file("big", bytes(8_000_000))
    reading = sandbox.read_file("big")
    assert await anext(reading)
    await reading.aclose()
    assert await read_all(sandbox, "big", length=10) == bytes(10)


async def test_files_belong_to_the_user_of_the_commands(sandbox):
    await sandbox.write_file("deep/mine", b"x")
    await sandbox.make_dir("folder")
    outcome = await run(sandbox, shell("stat -c '%u:%g %a' deep deep/mine folder"))
    assert outcome.stdout == b"1000:1000 755\n1000:1000 644\n1000:1000 755\n"


async def test_overwriting_keeps_the_mode(sandbox):
    await run(sandbox, shell("echo old > tool; chmod 755 tool"))
    entry = await sandbox.write_file("tool", b"new")
    assert entry.mode == 0o755
    assert await read_all(sandbox, "tool") == b"new"


async def test_no_overwrite_leaves_the_old_file(sandbox):
    await sandbox.write_file("f", b"old")
    with pytest.raises(EntryExistsError):
        await sandbox.write_file("f", b"new", overwrite=False)
    assert await read_all(sandbox, "f") == b"old"


async def test_an_upload_that_breaks_off_leaves_nothing(sandbox):
    async def chunks():
        yield bytes(500_000)
        raise ConnectionResetError("the browser went away")

    await sandbox.write_file("f", b"old")
    with pytest.raises(ConnectionResetError):
        await sandbox.write_file("f", chunks())
    await run(
        sandbox, shell("timeout 20 sh -c 'while ls -A | grep -q upload; do sleep 0.02; done'")
    )
    assert (await run(sandbox, shell("ls -A"))).stdout == b"f\n"
    assert await read_all(sandbox, "f") == b"old"


async def test_an_unfinished_upload_is_not_listed(sandbox):
    release = asyncio.Event()

    async def chunks():
        yield b"half"
        await release.wait()
        yield b"whole"

    writing = asyncio.create_task(sandbox.write_file("f", chunks()))
    appears = "timeout 20 sh -c 'until ls -A | grep -q upload; do sleep 0.02; done'"
    assert (await run(sandbox, shell(appears))).ending.exit_code == 0
    assert await sandbox.list_dir("") == []
    release.set()
    await writing
    assert [entry.name for entry in await sandbox.list_dir("")] == ["f"]


async def test_listing_tells_kinds_and_is_sorted(sandbox):
    await run(sandbox, shell("mkdir d; echo x > f; ln -s f l; mkfifo p; ln -s /nowhere z"))
    entries = await sandbox.list_dir("")
    assert [(e.name, e.kind, e.symlink_target) for e in entries] == [
        ("d", "folder", None),
        ("f", "file", None),
        ("l", "symlink", "f"),
        ("p", "other", None),
        ("z", "symlink", "/nowhere"),
    ]


async def test_paths_in_listings_lead_back(sandbox):
    await sandbox.write_file("a/b/c", b"x")
    (entry,) = await sandbox.list_dir("a//./b/")
    assert entry.path == "a/b/c"
    assert (await sandbox.stat(entry.path)).size == 1


@pytest.mark.parametrize(
    "name",
    [
        "new\nline",
        "quote'\"`$(x)",
        "\u202eright-to-left",
        "caf\u00e9",
        "cafe\u0301",
        b"\xff\xfe broken \x80".decode("utf-8", "surrogateescape"),
        "\U0001f600" + b"\x80".decode("utf-8", "surrogateescape"),
        "-rf",
        "...",
        " ",
        "n" * 255,
    ],
)
async def test_any_name_survives_every_verb(sandbox, name):
    await sandbox.write_file(name, b"data")
    (entry,) = await sandbox.list_dir("")
    assert entry.name == name
    assert await read_all(sandbox, entry.path) == b"data"
    await sandbox.rename(name, "other")
    await sandbox.rename("other", name)
    assert (await sandbox.stat(name)).size == 4
    await sandbox.remove(name)
    assert await sandbox.list_dir("") == []


@pytest.mark.slow
async def test_a_hundred_thousand_entries_are_listed(sandbox):
    await run(sandbox, shell("mkdir many; cd many; seq 100000 | xargs touch"))
    entries = await sandbox.list_dir("many")
    assert len(entries) == 100_000
    assert {entry.name for entry in entries} == {str(n) for n in range(1, 100_001)}


async def test_rename_does_not_replace(sandbox):
    await sandbox.write_file("a", b"a")
    await sandbox.write_file("b", b"b")
    await sandbox.make_dir("empty")
    await sandbox.make_dir("folder")
    for source, target in [("a", "b"), ("folder", "empty"), ("folder", "b"), ("a", "empty")]:
        with pytest.raises(EntryExistsError):
            await sandbox.rename(source, target)
    assert await read_all(sandbox, "b") == b"b"


async def test_rename_moves_files_folders_and_links(sandbox):
    await run(sandbox, shell("mkdir d; echo x > d/f; ln -s gone l"))
    assert (await sandbox.rename("d", "new/place")).kind == "folder"
    assert (await sandbox.rename("l", "new/link")).symlink_target == "gone"
    assert await read_all(sandbox, "new/place/f") == b"x\n"


async def test_remove_takes_a_whole_tree_but_follows_no_link(sandbox):
    script = "mkdir -p d/e keep; echo x > keep/f; ln -s ../keep d/link; chmod 500 d/e; touch d/g"
    await run(sandbox, shell(script))
    await sandbox.remove("d")
    assert [entry.name for entry in await sandbox.list_dir("")] == ["keep"]
    assert await read_all(sandbox, "keep/f") == b"x\n"


async def test_remove_takes_a_very_deep_tree(sandbox):
    script = "i=0; while [ $i -lt 400 ]; do mkdir d; cd d; i=$((i+1)); done"
    await run(sandbox, shell(script))
    await sandbox.remove("d")
    assert await sandbox.list_dir("") == []


async def test_missing_things_are_not_found(sandbox):
    with pytest.raises(EntryNotFoundError):
        await sandbox.stat("no")
    with pytest.raises(EntryNotFoundError):
        await sandbox.list_dir("no/such")
    with pytest.raises(EntryNotFoundError):
        await read_all(sandbox, "no")
    with pytest.raises(EntryNotFoundError):
        await sandbox.rename("no", "yes")
    with pytest.raises(EntryNotFoundError):
        await sandbox.remove("no")
    with pytest.raises(EntryNotFoundError):
        await sandbox.stat("\ud800")


async def test_wrong_kinds_are_told(sandbox):
    await run(sandbox, shell("mkdir d; echo x > f; mkfifo p; ln -s loop loop"))
    with pytest.raises(WrongEntryKindError):
        await sandbox.list_dir("f")
    with pytest.raises(WrongEntryKindError):
        await read_all(sandbox, "d")
    with pytest.raises(WrongEntryKindError):
        await sandbox.write_file("d", b"x")
    with pytest.raises(WrongEntryKindError):
        await sandbox.write_file("f/inside", b"x")
    with pytest.raises(WrongEntryKindError):
        await sandbox.stat("loop")
    async with asyncio.timeout(20):
        with pytest.raises(WrongEntryKindError):
            await read_all(sandbox, "p")


async def test_the_workspace_itself_stays(sandbox):
    assert (await sandbox.stat("")).kind == "folder"
    with pytest.raises(WrongEntryKindError):
        await sandbox.remove("")
    with pytest.raises(WrongEntryKindError):
        await sandbox.rename("", "elsewhere")
    with pytest.raises(EntryExistsError):
        await sandbox.make_dir("")


async def test_what_the_user_may_not_do_is_refused(sandbox):
    await run(sandbox, shell("mkdir locked; echo x > secret; chmod 000 secret locked"))
    with pytest.raises(FileAccessError):
        await read_all(sandbox, "secret")
    with pytest.raises(FileAccessError):
        await sandbox.write_file("locked/f", b"x")


async def test_names_that_are_too_long_are_refused(sandbox):
    with pytest.raises(FileAccessError):
        await sandbox.write_file("n" * 256, b"x")
    with pytest.raises(OutsideWorkspaceError):
        await sandbox.write_file("n\0n", b"x")
