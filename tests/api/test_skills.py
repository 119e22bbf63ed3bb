"""Skills and their versions: by their owner, and by nobody else."""

import io
import os
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openai
import pytest

from sessions import services
from sessions.models import Skill
from sessions.responses.ids import SKILL, format_id


def manifest(name: str = "harbour-log", description: str = "Sorts the log.") -> bytes:
    return f"---\nname: {name}\ndescription: {description}\n---\n# How\n".encode()


def folder(content: bytes = manifest()) -> list[Any]:
    return [("top/SKILL.md", content), ("top/scripts/sort.py", b"print(1)\n")]


def zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def names_in(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.namelist()


async def test_a_folder_is_kept_and_comes_back_as_a_zip(client: openai.AsyncOpenAI) -> None:
    made = await client.skills.create(files=folder())
    assert (made.name, made.description) == ("harbour-log", "Sorts the log.")
    assert (made.default_version, made.latest_version) == ("1", "1")
    assert (await client.skills.retrieve(made.id)).to_dict() == made.to_dict()
    content = await (await client.skills.content.retrieve(made.id)).aread()
    assert names_in(content) == ["harbour-log/SKILL.md", "harbour-log/scripts/sort.py"]


async def test_a_zip_is_the_same_as_its_folder(client: openai.AsyncOpenAI) -> None:
    data = zipped({"top/SKILL.md": manifest(), "top/scripts/sort.py": b"print(1)\n"})
    one = await client.skills.create(files=("skill.zip", data))
    other = await client.skills.create(files=folder())
    contents = [
        await (await client.skills.content.retrieve(made.id)).aread() for made in (one, other)
    ]
    assert contents[0] == contents[1]


async def test_versions_are_counted_and_one_is_the_default(client: openai.AsyncOpenAI) -> None:
    made = await client.skills.create(files=folder())
    versions = client.skills.versions
    second = await versions.create(made.id, files=folder(manifest(description="Second.")))
    third = await versions.create(
        made.id, files=folder(manifest(description="Third.")), default=True
    )
    assert (second.version, third.version) == ("2", "3")
    now = await client.skills.retrieve(made.id)
    assert (now.default_version, now.latest_version, now.description) == ("3", "3", "Third.")
    back = await client.skills.update(made.id, default_version="2")
    assert (back.default_version, back.latest_version, back.description) == ("2", "3", "Second.")
    listed = [one.version async for one in versions.list(made.id, limit=2)]
    assert listed == ["3", "2", "1"]
    assert (await versions.retrieve("latest", skill_id=made.id)).version == "3"
    content = await (await versions.content.retrieve("1", skill_id=made.id)).aread()
    assert b"Sorts the log." in zipfile.ZipFile(io.BytesIO(content)).read("harbour-log/SKILL.md")


async def test_versions_go_and_with_the_last_the_skill(client: openai.AsyncOpenAI) -> None:
    made = await client.skills.create(files=folder())
    versions = client.skills.versions
    await versions.create(made.id, files=folder())
    with pytest.raises(openai.ConflictError):
        await versions.delete("1", skill_id=made.id)
    await versions.delete("2", skill_id=made.id)
    # No number is given again: what was once called so would be another thing.
    assert (await versions.create(made.id, files=folder())).version == "3"
    await client.skills.update(made.id, default_version="3")
    assert (await versions.delete("1", skill_id=made.id)).version == "1"
    await versions.delete("3", skill_id=made.id)
    with pytest.raises(openai.NotFoundError):
        await client.skills.retrieve(made.id)


async def test_a_deleted_skill_leaves_nothing_on_the_disk(
    client: openai.AsyncOpenAI, settings
) -> None:
    made = await client.skills.create(files=folder())
    await client.skills.versions.create(made.id, files=folder())
    assert (await client.skills.delete(made.id)).deleted
    assert not await Skill.objects.aexists()
    assert list((Path(settings.VAR_DIR) / "files").iterdir()) == []


async def test_bundles_are_no_strays(client: openai.AsyncOpenAI, settings) -> None:
    made = await client.skills.create(files=folder())
    for path in (Path(settings.VAR_DIR) / "files").iterdir():
        os.utime(path, (0, 0))
    await services.stored_files_expire()
    assert names_in(await (await client.skills.content.retrieve(made.id)).aread())


async def test_lists_come_in_pages(client: openai.AsyncOpenAI) -> None:
    for number in range(3):
        await client.skills.create(files=folder(manifest(name=f"skill-{number}")))
    names = [skill.name async for skill in client.skills.list(limit=2)]
    assert names == ["skill-2", "skill-1", "skill-0"]
    assert [skill.name async for skill in client.skills.list(order="asc")] == names[::-1]


@pytest.mark.parametrize(
    "files",
    [
        [("top/readme.md", b"x")],
        [("top/SKILL.md", b"no front matter")],
        [("top/SKILL.md", manifest()), ("top/../../escape", b"x")],
        [("top/SKILL.md", manifest()), ("other/file", b"x")],
        ("skill.zip", b"no zip"),
        ("skill.zip", zipped({"SKILL.md": manifest()})),
    ],
)
async def test_what_is_no_skill_is_refused_and_not_kept(
    client: openai.AsyncOpenAI, settings, files: Any
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.skills.create(files=files)
    assert raised.value.param == "files"
    assert not await Skill.objects.aexists()


async def test_another_users_skill_is_as_one_that_never_was(
    client: openai.AsyncOpenAI, bobs_client: openai.AsyncOpenAI
) -> None:
    hers = (await client.skills.create(files=folder())).id
    bobs = bobs_client.skills
    told = set()
    for skill_id in (hers, format_id(SKILL, uuid.uuid4()), "skill_nonsense"):
        for ask in (
            bobs.retrieve,
            bobs.delete,
            bobs.content.retrieve,
            bobs.versions.list,
            lambda one: bobs.update(one, default_version="1"),
            lambda one: bobs.versions.create(one, files=folder()),
            lambda one: bobs.versions.retrieve("1", skill_id=one),
            lambda one: bobs.versions.delete("1", skill_id=one),
            lambda one: bobs.versions.content.retrieve("1", skill_id=one),
        ):
            with pytest.raises(openai.NotFoundError) as raised:
                await ask(skill_id)
            told.add(str(raised.value).replace(skill_id, "ID"))
    assert len(told) == 1
    assert [skill async for skill in bobs.list()] == []
    assert (await client.skills.retrieve(hers)).name == "harbour-log"


@pytest.mark.parametrize("version", ["0", "2", "-1", "1.0", "newest", "9" * 30])
async def test_a_version_that_is_not_there_is_not_found(
    client: openai.AsyncOpenAI, version: str
) -> None:
    made = await client.skills.create(files=folder())
    with pytest.raises(openai.NotFoundError):
        await client.skills.versions.retrieve(version, skill_id=made.id)
    with pytest.raises(openai.NotFoundError):
        await client.skills.update(made.id, default_version=version)
