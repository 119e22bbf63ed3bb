"""Files that programs keep here: by their owner, and by nobody else."""

import datetime as dt
import os
import time
import uuid
from pathlib import Path

import httpx2
import openai
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from sessions import services
from sessions.models import StoredFile
from sessions.responses.ids import FILE, format_id
from tests.api.conftest import ClientOf


async def test_what_was_kept_comes_back(client: openai.AsyncOpenAI) -> None:
    content = os.urandom(2_500_000)
    kept = await client.files.create(file=("ships.csv", content), purpose="user_data")
    assert (kept.filename, kept.bytes, kept.purpose) == ("ships.csv", 2_500_000, "user_data")
    assert (await client.files.retrieve(kept.id)).to_dict() == kept.to_dict()
    assert await (await client.files.content(kept.id)).aread() == content


async def test_lists_come_in_pages_and_by_purpose(client: openai.AsyncOpenAI) -> None:
    for number in range(3):
        await client.files.create(
            file=(f"f{number}", b"x"), purpose="vision" if number == 1 else "user_data"
        )
    names = [file.filename async for file in client.files.list(limit=2)]
    assert names == ["f2", "f1", "f0"]
    assert [file.filename async for file in client.files.list(order="asc")] == names[::-1]
    assert [file.filename async for file in client.files.list(purpose="vision")] == ["f1"]


async def test_a_deleted_file_is_gone_from_the_disk(client: openai.AsyncOpenAI, settings) -> None:
    kept = await client.files.create(file=("a", b"x"), purpose="user_data")
    assert (await client.files.delete(kept.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.files.content(kept.id)
    assert list((Path(settings.VAR_DIR) / "files").iterdir()) == []


async def test_a_file_expires(client: openai.AsyncOpenAI, settings) -> None:
    kept = await client.files.create(
        file=("a", b"x"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert kept.expires_at == kept.created_at + 3600
    await StoredFile.objects.aupdate(expires_at=timezone.now() - dt.timedelta(seconds=1))
    with pytest.raises(openai.NotFoundError):
        await client.files.retrieve(kept.id)
    await services.stored_files_expire()
    assert not await StoredFile.objects.aexists()
    assert list((Path(settings.VAR_DIR) / "files").iterdir()) == []


async def test_what_a_crash_left_on_the_disk_is_removed_and_nothing_else(
    client: openai.AsyncOpenAI, settings
) -> None:
    kept = await client.files.create(file=("a", b"x"), purpose="user_data")
    folder = Path(settings.VAR_DIR) / "files"
    old, new = folder / uuid.uuid4().hex, folder / uuid.uuid4().hex
    for path in (old, new):
        path.write_bytes(b"stray")
    two_hours_ago = time.time() - 7200
    for path in folder.iterdir():
        if path != new:
            os.utime(path, (two_hours_ago, two_hours_ago))
    await services.stored_files_expire()
    assert not old.exists()
    assert new.exists()
    assert await (await client.files.content(kept.id)).aread() == b"x"


@pytest.mark.parametrize("seconds", [3599, 30 * 24 * 3600 + 1])
async def test_a_life_has_bounds(client: openai.AsyncOpenAI, seconds: int) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.files.create(
            file=("a", b"x"),
            purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": seconds},
        )
    assert raised.value.param == "expires_after[seconds]"


async def test_a_time_to_expire_needs_its_seconds(http: httpx2.AsyncClient) -> None:
    answer = await http.post(
        "/files",
        data={"purpose": "user_data", "expires_after[anchor]": "created_at"},
        files={"file": ("a.txt", b"x")},
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "expires_after[seconds]"


async def test_an_unknown_purpose_is_refused(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.files.create(file=("a", b"x"), purpose="secret")  # type: ignore[arg-type]
    assert raised.value.param == "purpose"


async def test_a_file_over_the_limit_is_refused_and_not_kept(
    client: openai.AsyncOpenAI, settings
) -> None:
    settings.BERTH_MAX_UPLOAD_MB = 1
    with pytest.raises(openai.APIStatusError) as raised:
        await client.files.create(file=("a", bytes(1_048_577)), purpose="user_data")
    assert raised.value.status_code == 413
    assert not await StoredFile.objects.aexists()


async def test_another_users_file_is_as_one_that_never_was(
    client: openai.AsyncOpenAI, bobs_client: openai.AsyncOpenAI
) -> None:
    hers = (await client.files.create(file=("a", b"x"), purpose="user_data")).id
    none = format_id(FILE, uuid.uuid4())
    bobs = await bobs_client.containers.create(name="bob's")
    told = set()
    for file_id in (hers, none, "file-nonsense"):
        for verb in (
            bobs_client.files.retrieve,
            bobs_client.files.content,
            bobs_client.files.delete,
        ):
            with pytest.raises(openai.NotFoundError) as raised:
                await verb(file_id)
            told.add(str(raised.value).replace(file_id, "ID"))
        with pytest.raises(openai.NotFoundError):
            await bobs_client.containers.create(name="x", file_ids=[file_id])
        with pytest.raises(openai.NotFoundError):
            await bobs_client.containers.files.create(bobs.id, file_id=file_id)
    assert len(told) == 1
    assert [file async for file in bobs_client.files.list()] == []
    assert (await client.files.retrieve(hers)).filename == "a"


async def test_staff_see_no_files_of_others(
    client: openai.AsyncOpenAI, admin: User, client_of: ClientOf
) -> None:
    hers = (await client.files.create(file=("a", b"x"), purpose="user_data")).id
    _, secret = await services.api_key_create(user=admin, name="staff")
    with pytest.raises(openai.NotFoundError):
        await client_of(secret).files.retrieve(hers)
