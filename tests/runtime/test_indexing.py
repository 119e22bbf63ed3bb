"""What is left to index is told by rows alone, whoever died over it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from sessions import services
from sessions.models import VectorBlock, VectorChunk, VectorStore, VectorStoreFile
from sessions.runtime.indexing import MAX_TRIES, Indexer
from sessions.runtime.leases import lease_name
from sessions.search.embedding import embedder, packed
from sessions.services import NewStoreFile, Search


@pytest.fixture(autouse=True)
def _files_of_its_own(settings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path


def reader(content: bytes) -> Callable[[int], bytes]:
    parts = iter([content, b""])
    return lambda _: next(parts)


async def filled(owner: User, *contents: bytes) -> VectorStore:
    files = [
        NewStoreFile(
            await services.stored_file_create(
                owner=owner, filename=f"f{n}.txt", purpose="assistants", read=reader(content)
            )
        )
        for n, content in enumerate(contents)
    ]
    return await services.vector_store_create(
        owner=owner, name="", metadata={}, expires_after_days=None, files=files
    )


async def statuses(store: VectorStore) -> list[str]:
    rows = VectorStoreFile.objects.filter(store=store).order_by("created_at", "id")
    return [row.status async for row in rows]


def dead_lease() -> str:
    """Of a process in sight, whose number another one has by now."""
    host, pid, _, place, rest = lease_name().split(":")
    return f"{host}:{pid}:1:{place}:{rest}"


async def test_a_file_that_a_killed_process_was_at_is_begun_anew(alice: User) -> None:
    store = await filled(alice, b"thirty days of vacation")
    lease = dead_lease()
    file = await services.vector_file_claim(lease=lease)
    assert file is not None
    half = packed([embedder().embed("half a file")[None]])
    assert await services.vector_file_add_pieces(
        file=file, first=0, texts=["half a file"], block=half, lease=lease
    )
    found = await services.vector_search(Search([store.id], ["half a file"], 5))
    assert found == [], "nothing is found of a file that is not done"
    await Indexer().work()
    assert await statuses(store) == ["completed"]
    (found_now,) = await services.vector_search(Search([store.id], ["half a file vacation"], 5))
    assert found_now.text == "thirty days of vacation"
    assert await VectorChunk.objects.acount() == await VectorBlock.objects.acount() == 1


async def test_what_a_living_process_is_at_is_left_to_it(alice: User) -> None:
    store = await filled(alice, b"one")
    lease = lease_name()
    file = await services.vector_file_claim(lease=lease)
    assert file is not None
    await Indexer().work()
    assert await statuses(store) == ["in_progress"]
    await services.vector_file_release(lease=lease, has_died=False)
    await Indexer().work()
    assert await statuses(store) == ["completed"]
    assert (await VectorStoreFile.objects.aget()).tries == 1


async def test_a_file_that_kills_whoever_reads_it_is_given_up(alice: User) -> None:
    store = await filled(alice, b"one")
    for _ in range(MAX_TRIES):
        assert await services.vector_file_claim(lease=dead_lease()) is not None
        await VectorStoreFile.objects.filter(store=store).aupdate(claimed_by="")
    await Indexer().work()
    row = await VectorStoreFile.objects.aget()
    assert (row.status, row.error_code) == ("failed", "server_error")


async def test_an_indexer_that_is_stopped_gives_its_file_back(alice: User) -> None:
    store = await filled(alice, b"word " * 400_000)
    task = asyncio.create_task(Indexer().run())

    async with asyncio.timeout(30):
        while not await VectorChunk.objects.aexists():  # noqa: ASYNC110 - the indexer makes them
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    row = await VectorStoreFile.objects.aget(store=store)
    assert (row.status, row.claimed_by, row.tries) == ("in_progress", "", 0)


async def test_a_file_whose_bytes_are_gone_fails(alice: User) -> None:
    store = await filled(alice, b"one")
    file = await VectorStoreFile.objects.select_related("file").aget(store=store)
    assert file.file is not None
    services.stored_file_path(file.file.id).unlink()
    await Indexer().work()
    assert await statuses(store) == ["failed"]


async def test_no_owner_waits_for_all_files_of_another(alice: User, bob: User) -> None:
    await filled(alice, *[b"a"] * 3)
    await filled(bob, b"b")
    owners = []
    last = None
    while file := await services.vector_file_claim(lease="x", other_than=last):
        last = file.store.owner_id
        owners.append(last)
    assert owners == [alice.id, bob.id, alice.id, alice.id]


async def test_a_batch_that_is_cancelled_leaves_no_pieces(alice: User) -> None:
    store = await filled(alice)
    file = await services.stored_file_create(
        owner=alice, filename="a.txt", purpose="assistants", read=reader(b"word " * 100_000)
    )
    batch = await services.vector_store_files_add(
        store=store, files=[NewStoreFile(file)], is_batch=True
    )
    assert batch is not None
    working = asyncio.create_task(Indexer().work())
    async with asyncio.timeout(30):
        while not await VectorChunk.objects.aexists():  # noqa: ASYNC110 - the indexer makes them
            await asyncio.sleep(0.02)
    await services.vector_store_batch_cancel(batch=batch)
    await working
    assert await statuses(store) == ["cancelled"]
    assert not await VectorChunk.objects.aexists()


# How good it is


DOCUMENTS = {
    "leave": "Employees are entitled to thirty days of paid vacation a year. It has to be agreed "
    "with the team lead two weeks ahead.",
    "sick": "Whoever falls ill calls the office before nine and brings a doctor's certificate on "
    "the third day.",
    "printer": "If the printer blinks red, open tray two and pull out the jammed paper.",
    "travel": "Train tickets and hotels are booked through the portal. Receipts are handed in "
    "within a month to be reimbursed.",
    "passwords": "Choose a long passphrase and never share your credentials.",
    "coffee": "The espresso machine is descaled every Friday. Beans are in the cupboard.",
    "errors": "E-4711: the disk is full. E-4712: the network cannot be reached.",
    "more-errors": "E-4713: permission denied. E-4714: the disk is write protected.",
    "pay": "Salaries are transferred on the twenty-fifth of each month.",
    "code": "def parse_retry_after(header):\n    return int(header)\n\nMAX_ATTEMPTS = 5\n",
}
ASKED = [
    # The meaning decides: none of these words is in the text.
    ("How much holiday do I get?", "leave"),
    ("I have the flu", "sick"),
    ("refund for my business trip", "travel"),
    ("when do I receive my wages", "pay"),
    ("stuck copier", "printer"),
    # The very name decides.
    ("E-4712", "errors"),
    ("what does E-4714 mean?", "more-errors"),
    ("parse_retry_after", "code"),
    ("MAX_ATTEMPTS", "code"),
]


async def test_meaning_and_names_are_found(alice: User) -> None:
    store = await filled(alice, *(text.encode() for text in DOCUMENTS.values()))
    await Indexer().work()
    names = {f"f{number}.txt": name for number, name in enumerate(DOCUMENTS)}
    wrong = []
    for query, wanted in ASKED:
        found = await services.vector_search(Search([store.id], [query], 3))
        ranked = [(names[one.filename], one.score) for one in found]
        if not ranked or ranked[0][0] != wanted:
            wrong.append((query, wanted, ranked))
    assert not wrong


async def test_a_sentence_is_found_within_long_texts(alice: User) -> None:
    minutes = "The minutes list who came and what was decided about the new building. " * 40
    store = await filled(
        alice, *((minutes + text + " " + minutes).encode() for text in DOCUMENTS.values())
    )
    await Indexer().work()
    first = {name: f"f{number}.txt" for number, name in enumerate(DOCUMENTS)}
    for query, wanted in [("How much holiday do I get?", "leave"), ("E-4712", "errors")]:
        found = await services.vector_search(Search([store.id], [query], 1))
        assert [one.filename for one in found] == [first[wanted]]
