"""Files of a container: put there, listed, read, deleted; by their owner and by nobody else."""

import os
import uuid

import openai
import pytest

from sessions.models import Session
from sessions.responses.ids import CONTAINER, CONTAINER_FILE, format_id
from sessions.runtime.process import Runtime
from sessions.sandbox.base import ExecRequest, Sandbox


@pytest.fixture
async def container_id(client: openai.AsyncOpenAI) -> str:
    return (await client.containers.create(name="Harbour")).id


async def workspace(sandbox_runtime: Runtime) -> Sandbox:
    return await sandbox_runtime.sandboxes.connect(await Session.objects.aget())


async def test_what_was_put_there_comes_back(
    client: openai.AsyncOpenAI, container_id: str, sandbox_runtime: Runtime
) -> None:
    content = os.urandom(300_000)
    made = await client.containers.files.create(container_id, file=("ships.csv", content))
    assert (made.path, made.bytes, made.source) == ("/mnt/data/ships.csv", 300_000, "user")
    assert made.container_id == container_id
    found = await client.containers.files.retrieve(made.id, container_id=container_id)
    assert found.to_dict() == made.to_dict()
    answer = await client.containers.files.content.retrieve(made.id, container_id=container_id)
    assert await answer.aread() == content
    sandbox = await workspace(sandbox_runtime)
    assert (await sandbox.stat("ships.csv")).size == 300_000


async def test_a_second_file_of_a_name_takes_nothing_from_the_first(
    client: openai.AsyncOpenAI, container_id: str
) -> None:
    first = await client.containers.files.create(container_id, file=("a.txt", b"first"))
    second = await client.containers.files.create(container_id, file=("a.txt", b"second"))
    assert second.path != first.path
    assert second.path.endswith("a.txt")
    for file, content in ((first, b"first"), (second, b"second")):
        answer = await client.containers.files.content.retrieve(file.id, container_id=container_id)
        assert await answer.aread() == content


async def test_the_agents_files_are_listed_whatever_folder_they_are_in(
    client: openai.AsyncOpenAI, container_id: str, sandbox_runtime: Runtime
) -> None:
    await client.containers.files.create(container_id, file=("mine.txt", b"1"))
    sandbox = await workspace(sandbox_runtime)
    await sandbox.write_file("out/deep/plot.png", b"12345")
    listed = {file.path: file async for file in client.containers.files.list(container_id)}
    assert {path: file.source for path, file in listed.items()} == {
        "/mnt/data/mine.txt": "user",
        "/mnt/data/out/deep/plot.png": "assistant",
    }
    again = [file async for file in client.containers.files.list(container_id, limit=1)]
    assert {file.id for file in again} == {file.id for file in listed.values()}


async def test_lists_come_in_pages_by_time(
    client: openai.AsyncOpenAI, container_id: str, sandbox_runtime: Runtime
) -> None:
    sandbox = await workspace(sandbox_runtime)
    for number in range(5):
        await sandbox.write_file(f"f{number}", b"x")
    files = client.containers.files
    ascending = [file.path async for file in files.list(container_id, limit=2, order="asc")]
    assert ascending == [f"/mnt/data/f{number}" for number in range(5)]
    descending = [file.path async for file in files.list(container_id, limit=2)]
    assert descending == ascending[::-1]


async def test_a_deleted_file_is_gone(
    client: openai.AsyncOpenAI, container_id: str, sandbox_runtime: Runtime
) -> None:
    made = await client.containers.files.create(container_id, file=("a.txt", b"x"))
    await client.containers.files.delete(made.id, container_id=container_id)
    with pytest.raises(openai.NotFoundError):
        await client.containers.files.retrieve(made.id, container_id=container_id)
    assert await (await workspace(sandbox_runtime)).list_dir("") == []


@pytest.mark.parametrize(
    "name", [b"caf\xc3\xa9 \xe2\x98\x95.txt", b"\xff\xfe.bin", b"a\nb", b"-rf"]
)
async def test_names_of_any_bytes_are_listed_and_read(
    client: openai.AsyncOpenAI, container_id: str, sandbox_runtime: Runtime, name: bytes
) -> None:
    sandbox = await workspace(sandbox_runtime)
    await sandbox.write_file(os.fsdecode(name), b"content")
    (file,) = [file async for file in client.containers.files.list(container_id)]
    answer = await client.containers.files.content.retrieve(file.id, container_id=container_id)
    assert await answer.aread() == b"content"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b"])
async def test_a_name_leads_nowhere_else(
    client: openai.AsyncOpenAI, container_id: str, name: str
) -> None:
    made = await client.containers.files.create(container_id, file=(name, b"x"))
    assert made.path == f"/mnt/data/{name.rsplit('/', 1)[-1]}"


async def test_a_symlink_that_takes_a_files_place_is_not_followed(
    client: openai.AsyncOpenAI, container_id: str, sandbox_runtime: Runtime
) -> None:
    made = await client.containers.files.create(container_id, file=("a.txt", b"x"))
    sandbox = await workspace(sandbox_runtime)
    command = await sandbox.exec(
        ExecRequest(exec_id="link", argv=("ln", "-sf", "/etc/passwd", "a.txt"))
    )
    async for _ in command:
        pass
    with pytest.raises(openai.APIStatusError) as raised:
        await client.containers.files.content.retrieve(made.id, container_id=container_id)
    assert raised.value.status_code in {403, 404}


async def test_a_form_without_a_file_is_refused(
    client: openai.AsyncOpenAI, container_id: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.post(
            f"/containers/{container_id}/files",
            cast_to=object,
            files={"other": ("a.txt", b"x")},
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )
    assert raised.value.param == "file"


async def test_files_kept_before_are_given_to_containers(client: openai.AsyncOpenAI) -> None:
    kept = [
        await client.files.create(file=(name, name.encode() * 1000), purpose="user_data")
        for name in ("a.txt", "b.txt")
    ]
    made = await client.containers.create(name="Harbour", file_ids=[kept[0].id])
    later = await client.containers.files.create(made.id, file_id=kept[1].id)
    assert (later.path, later.source) == ("/mnt/data/b.txt", "user")
    listed = {file.path: file async for file in client.containers.files.list(made.id)}
    assert set(listed) == {"/mnt/data/a.txt", "/mnt/data/b.txt"}
    first = await client.containers.files.content.retrieve(
        listed["/mnt/data/a.txt"].id, container_id=made.id
    )
    assert await first.aread() == b"a.txt" * 1000


async def test_a_file_id_of_nothing_is_not_found(
    client: openai.AsyncOpenAI, container_id: str
) -> None:
    with pytest.raises(openai.NotFoundError):
        await client.containers.files.create(container_id, file_id="file-of-nobody")


async def test_another_users_files_are_as_files_that_never_were(
    client: openai.AsyncOpenAI, bobs_client: openai.AsyncOpenAI, container_id: str
) -> None:
    hers = (await client.containers.files.create(container_id, file=("a.txt", b"x"))).id
    bobs = (await bobs_client.containers.create(name="bob's")).id
    nowhere = format_id(CONTAINER, uuid.uuid4())
    nothing = format_id(CONTAINER_FILE, uuid.uuid4())
    files = bobs_client.containers.files
    told = set()
    for container, file in ((container_id, hers), (nowhere, hers), (bobs, hers), (bobs, nothing)):
        for verb in (files.retrieve, files.delete, files.content.retrieve):
            with pytest.raises(openai.NotFoundError) as raised:
                await verb(file, container_id=container)
            words = str(raised.value).replace(container, "CONTAINER").replace(file, "FILE")
            told.add((container == bobs, words))
    assert len(told) == 2
    for container in (container_id, nowhere):
        with pytest.raises(openai.NotFoundError):
            await files.list(container)
        with pytest.raises(openai.NotFoundError):
            await files.create(container, file=("b.txt", b"y"))
    assert [one.id async for one in client.containers.files.list(container_id)] == [hers]
