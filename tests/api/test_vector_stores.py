"""Vector stores by the official client: made, filled, searched, emptied; by their owner alone."""

import datetime as dt
from collections.abc import Awaitable
from typing import Any

import openai
import pytest
from django.utils import timezone

from sessions.models import VectorBlock, VectorChunk, VectorStore, VectorStoreFile
from tests.api.conftest import ClientOf
from tests.api.vector_stores import LEAVE, PRINTER, Client, added, kept, names, until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]

# What is kept


async def test_a_file_is_indexed_and_found(client: Client) -> None:
    store = await client.vector_stores.create(
        name="Handbook", metadata={"team": "ops"}, extra_body={"description": "For all"}
    )
    assert (store.status, store.name, store.metadata) == ("completed", "Handbook", {"team": "ops"})
    assert store.model_extra["description"] == "For all"
    file = await added(client, store.id, "leave.md", LEAVE)
    assert (file.status, file.last_error) == ("completed", None)
    assert file.chunking_strategy.static.max_chunk_size_tokens == 800
    page = await client.vector_stores.search(store.id, query="How much holiday do I get?")
    (found,) = page.data
    assert (found.file_id, found.filename) == (file.id, "leave.md")
    assert "thirty days" in found.content[0].text
    assert 0 < found.score <= 1
    again = await client.vector_stores.retrieve(store.id)
    assert again.usage_bytes == file.usage_bytes > 0
    assert (again.file_counts.completed, again.file_counts.total) == (1, 1)


async def test_stores_are_listed_changed_and_deleted(client: Client) -> None:
    made = [await client.vector_stores.create(name=f"s{number}") for number in range(3)]
    listed = [store.name async for store in client.vector_stores.list(limit=2)]
    assert listed == ["s2", "s1", "s0"]
    back = await client.vector_stores.list(before=made[0].id, limit=1)
    assert [store.name for store in back.data] == ["s1"]
    changed = await client.vector_stores.update(
        made[0].id,
        name="renamed",
        metadata={"a": "b"},
        expires_after={"anchor": "last_active_at", "days": 2},
    )
    assert (changed.name, changed.metadata) == ("renamed", {"a": "b"})
    assert changed.expires_at == changed.last_active_at + 2 * 24 * 3600
    kept_name = await client.vector_stores.update(made[0].id, metadata={})
    assert (kept_name.name, kept_name.metadata) == ("renamed", {})
    assert kept_name.expires_after.days == 2
    gone = await client.vector_stores.delete(made[0].id)
    assert (gone.deleted, gone.object) == (True, "vector_store.deleted")
    with pytest.raises(openai.NotFoundError):
        await client.vector_stores.retrieve(made[0].id)


async def test_files_of_a_store(client: Client) -> None:
    ids = [await kept(client, f"f{n}.txt", b"text %d" % n) for n in range(3)]
    store = await client.vector_stores.create(
        file_ids=ids,
        chunking_strategy={
            "type": "static",
            "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50},
        },
    )
    assert store.file_counts.total == 3
    bad = await added(client, store.id, "picture.png", b"\x89PNG\0\0\0")
    assert (bad.status, bad.last_error.code) == ("failed", "unsupported_file")

    async def is_done() -> bool:
        return bool((await client.vector_stores.retrieve(store.id)).status == "completed")

    await until(is_done)
    files = client.vector_stores.files
    completed = [one.id async for one in files.list(store.id, filter="completed", limit=2)]
    assert sorted(completed) == sorted(ids)
    assert [one.id async for one in files.list(store.id, filter="failed")] == [bad.id]
    one = await files.retrieve(ids[0], vector_store_id=store.id)
    assert one.chunking_strategy.static.chunk_overlap_tokens == 50
    changed = await files.update(ids[0], vector_store_id=store.id, attributes={"year": 2026})
    assert changed.attributes == {"year": 2026}
    content = await files.content(ids[0], vector_store_id=store.id)
    assert [part.text for part in content.data] == ["text 0"]
    with pytest.raises(openai.BadRequestError):
        await files.content(bad.id, vector_store_id=store.id)
    assert (await files.delete(ids[0], vector_store_id=store.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await files.retrieve(ids[0], vector_store_id=store.id)
    assert (await client.files.retrieve(ids[0])).id == ids[0], "the file itself stays"


async def test_batches(client: Client) -> None:
    store = await client.vector_stores.create()
    batch = await client.vector_stores.file_batches.upload_and_poll(
        store.id, files=[("a.md", LEAVE), ("b.md", PRINTER)], poll_interval_ms=30
    )
    assert (batch.status, batch.file_counts.completed) == ("completed", 2)
    listed = await client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id)
    assert len(listed.data) == 2
    other = await client.vector_stores.file_batches.create(
        store.id,
        files=[{"file_id": listed.data[0].id, "attributes": {"kind": "new"}}],
    )
    assert (await client.vector_stores.retrieve(store.id)).file_counts.total == 2, "once each"
    cancelled = await client.vector_stores.file_batches.cancel(other.id, vector_store_id=store.id)
    assert cancelled.status in ("cancelled", "completed")
    for body in ({}, {"file_ids": ["x"], "files": [{"file_id": "x"}]}):
        with pytest.raises(openai.BadRequestError):
            await client.vector_stores.file_batches.create(store.id, **body)


async def test_a_file_that_is_deleted_is_in_no_store(client: Client) -> None:
    store = await client.vector_stores.create()
    file = await added(client, store.id, "leave.md", LEAVE)
    assert await names(client, store.id, "vacation") == ["leave.md"]
    await client.files.delete(file.id)
    assert await names(client, store.id, "vacation") == []
    assert (await client.vector_stores.retrieve(store.id)).file_counts.total == 0


async def test_nothing_is_left_of_a_deleted_store(client: Client) -> None:
    store = await client.vector_stores.create()
    await added(client, store.id, "leave.md", LEAVE)
    assert await VectorChunk.objects.acount() == await VectorBlock.objects.acount() == 1
    await client.vector_stores.delete(store.id)

    async def is_gone() -> bool:
        return not await VectorStore.objects.aexists()

    await until(is_gone)
    for rows in (VectorStoreFile, VectorChunk, VectorBlock):
        assert not await rows.objects.aexists()


async def test_a_store_expires(client: Client) -> None:
    store = await client.vector_stores.create(
        expires_after={"anchor": "last_active_at", "days": 1}
    )
    await added(client, store.id, "leave.md", LEAVE)
    await VectorStore.objects.aupdate(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert (await client.vector_stores.retrieve(store.id)).status == "expired"
    with pytest.raises(openai.BadRequestError, match="expired"):
        await client.vector_stores.search(store.id, query="vacation")

    async def is_empty() -> bool:
        return not await VectorChunk.objects.aexists()

    await until(is_empty)
    assert (await client.vector_stores.retrieve(store.id)).status == "expired"


async def test_a_search_begins_the_time_anew(client: Client) -> None:
    store = await client.vector_stores.create(
        expires_after={"anchor": "last_active_at", "days": 1}
    )
    soon = timezone.now() + dt.timedelta(minutes=1)
    await VectorStore.objects.aupdate(expires_at=soon)
    await client.vector_stores.search(store.id, query="vacation")
    again = await client.vector_stores.retrieve(store.id)
    assert again.expires_at == again.last_active_at + 24 * 3600


@pytest.mark.parametrize(
    "attributes",
    [
        {"a": 10**400},
        {"a": None},
        {"a": ["b"]},
        {"a": "x" * 513},
        {"k" * 65: 1},
        {str(n): n for n in range(17)},
    ],
)
async def test_attributes_are_few_and_plain(client: Client, attributes: Any) -> None:
    store = await client.vector_stores.create()
    file = await kept(client, "leave.md", LEAVE)
    with pytest.raises(openai.BadRequestError) as refused:
        await client.vector_stores.files.create(store.id, file_id=file, attributes=attributes)
    assert str(refused.value.param).startswith("attributes")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        ({"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"name": "x" * 257}, "name"),
        ({"file_ids": ["file-" + "0" * 32]}, "file_ids[0]"),
        (
            {
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 101},
                }
            },
            "chunking_strategy.static",
        ),
        (
            {
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 99, "chunk_overlap_tokens": 0},
                }
            },
            "chunking_strategy.static.max_chunk_size_tokens",
        ),
    ],
)
async def test_what_no_store_can_be_is_refused_by_name(
    client: Client, body: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        await client.vector_stores.create(extra_body=body)
    assert refused.value.status_code in (400, 404)
    assert refused.value.param == param


# Whose it is


async def test_another_users_stores_and_files_are_not_there(
    client: Client, bobs_client: Client, client_of: ClientOf
) -> None:
    store = await client.vector_stores.create()
    file = await added(client, store.id, "leave.md", LEAVE)
    batch = await client.vector_stores.file_batches.create(store.id, file_ids=[file.id])
    bobs = await bobs_client.vector_stores.create()
    assert [one.id async for one in bobs_client.vector_stores.list()] == [bobs.id]
    nothing = "vs_" + "0" * 32

    def calls(of: Client, where: str, what: str, which: str) -> list[Awaitable[Any]]:
        stores = of.vector_stores
        return [
            stores.retrieve(where),
            stores.update(where, name="mine"),
            stores.delete(where),
            stores.search(where, query="vacation"),
            stores.files.list(where),
            stores.files.create(where, file_id=what),
            stores.files.retrieve(what, vector_store_id=where),
            stores.files.update(what, vector_store_id=where, attributes={}),
            stores.files.content(what, vector_store_id=where),
            stores.files.delete(what, vector_store_id=where),
            stores.file_batches.retrieve(which, vector_store_id=where),
            stores.file_batches.cancel(which, vector_store_id=where),
            stores.file_batches.list_files(which, vector_store_id=where),
        ]

    for his, none in zip(
        calls(bobs_client, store.id, file.id, batch.id),
        calls(bobs_client, nothing, file.id, batch.id),
        strict=True,
    ):
        with pytest.raises(openai.NotFoundError) as refused:
            await his
        with pytest.raises(openai.NotFoundError) as missing:
            await none
        assert refused.value.message.replace(store.id, nothing) == missing.value.message
    for taking in (
        bobs_client.vector_stores.files.create(bobs.id, file_id=file.id),
        bobs_client.vector_stores.create(file_ids=[file.id]),
        bobs_client.vector_stores.file_batches.create(bobs.id, file_ids=[file.id]),
        bobs_client.vector_stores.files.retrieve(file.id, vector_store_id=bobs.id),
    ):
        with pytest.raises(openai.NotFoundError):
            await taking
    stranger = client_of("berth_nobody")
    for refused_call in calls(stranger, store.id, file.id, batch.id):
        with pytest.raises(openai.AuthenticationError):
            await refused_call
    assert (await client.vector_stores.retrieve(store.id)).file_counts.total == 1
