"""The files of a message: on the host before the transaction, and gone when it fails."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError

from sessions import services
from sessions.errors import ConflictError, DiskFullError, InvalidInputError
from sessions.events import bus
from sessions.models import Session, Turn, Upload
from sessions.sandbox.limits import Limits
from sessions.services import NewUpload


@pytest.fixture(autouse=True)
def _var_dir(settings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path


def kept(root: Path) -> list[Path]:
    """Everything below the folder of all uploads, folders as well."""
    return list((root / "uploads").rglob("*"))


def full_disk(*first: bytes) -> Iterator[bytes]:
    yield from first
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def only_file() -> tuple[bytes, int]:
    """Content and recorded size of the only file that waits."""
    upload = await Upload.objects.aget()
    return await asyncio.to_thread(Path(upload.stored_path).read_bytes), upload.size


async def create(owner: User, *files: NewUpload) -> Session:
    return await services.session_create(
        owner=owner,
        text="use these",
        provider="scripted",
        model="scripted",
        image="i",
        limits=Limits(),
        files=files,
    )


async def test_others_can_write_while_the_files_of_a_message_are_stored(
    agent_session: Session,
) -> None:
    go_on, has_begun = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"a"
        has_begun.set()
        assert go_on.wait(30)
        yield b"b"

    files = [NewUpload("slow", slow(), 2)]
    sending = asyncio.create_task(
        services.turn_submit(session=agent_session, text="slow", files=files)
    )
    try:
        assert await asyncio.to_thread(has_begun.wait, 10)
        async with asyncio.timeout(10):
            await services.turn_submit(session=agent_session, text="quick")
    finally:
        go_on.set()
        slow_turn = await sending
    assert slow_turn.number == 3
    assert await only_file() == (b"ab", 2)


async def test_a_full_disk_is_said_and_leaves_nothing(alice: User, tmp_path: Path) -> None:
    files = [NewUpload("a", [b"whole"], 5), NewUpload("b", full_disk(b"part"), 9)]
    with pytest.raises(DiskFullError, match="disk is full") as caught:
        await create(alice, *files)
    assert caught.value.status == 507
    assert not await Session.objects.aexists()
    assert kept(tmp_path) == []


async def test_a_folder_that_cannot_be_made_is_said(alice: User, tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("in the way")
    with pytest.raises(DiskFullError, match="The files were not sent"):
        await create(alice, NewUpload("a", [b"x"], 1))
    assert not await Session.objects.aexists()


async def test_a_session_that_is_not_created_leaves_no_files(
    alice: User, tmp_path: Path, transactional_db
) -> None:
    await alice.adelete()  # Its id is gone from the object, so the row cannot be stored.
    with pytest.raises(ValueError, match="unsaved"):
        await create(alice, NewUpload("a", [b"x"], 1))
    assert kept(tmp_path) == []


async def test_a_message_that_is_refused_leaves_the_files_of_others_alone(
    agent_session: Session, tmp_path: Path
) -> None:
    await services.turn_submit(
        session=agent_session, text="more", files=[NewUpload("a", [b"kept"], 4)]
    )
    before = kept(tmp_path)
    for _ in range(services.MAX_QUEUED_TURNS - 2):
        await services.turn_submit(session=agent_session, text="more")
    with pytest.raises(ConflictError):
        await services.turn_submit(
            session=agent_session, text="too many", files=[NewUpload("b", [b"x"], 1)]
        )
    assert kept(tmp_path) == before
    assert len(before) == 2


async def test_a_bad_name_among_good_ones_stores_nothing(alice: User, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        await create(alice, NewUpload("a", [b"x"], 1), NewUpload("..", [b"x"], 1))
    assert kept(tmp_path) == []


async def test_a_sender_that_goes_away_parts_no_files_from_their_message(
    agent_session: Session, tmp_path: Path
) -> None:
    go_on, has_begun = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        has_begun.set()
        assert go_on.wait(30)
        yield b"all"

    files = [NewUpload("slow", slow(), 3)]
    sending = asyncio.create_task(
        services.turn_submit(session=agent_session, text="slow", files=files)
    )
    assert await asyncio.to_thread(has_begun.wait, 10)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    go_on.set()
    async with asyncio.timeout(10), bus.listen(bus.session_topic(agent_session.id)) as waiter:
        while not await Turn.objects.filter(session=agent_session, number=2).aexists():
            await waiter.wait(0.05)
    assert await only_file() == (b"all", 3)


async def test_two_files_of_one_name_are_refused(alice: User, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="same name"):
        await create(alice, NewUpload("a/x.txt", [b"1"], 1), NewUpload("b/x.txt", [b"2"], 1))
    assert kept(tmp_path) == []
    assert not await Session.objects.aexists()


async def test_a_message_that_could_not_be_taken_back_keeps_its_files(
    alice: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await create(alice, NewUpload("x.txt", [b"1"], 1))

    def refuse(*_: object, **__: object) -> int:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr("sessions.events.log.append_now", refuse)
    with pytest.raises(DatabaseError):
        await services.turn_remove(session=session, number=1)
    assert await only_file() == (b"1", 1)
    monkeypatch.undo()
    await services.turn_remove(session=session, number=1)
    assert [path for path in kept(tmp_path) if path.is_file()] == []
