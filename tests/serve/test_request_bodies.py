"""A body's way from the spool into a Django view, seen by the event loop it must not hold."""

import asyncio
import contextlib
import io
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIRequest
from django.test import AsyncClient
from typing_extensions import override

from sessions import services
from sessions.errors import FileTooLargeError
from sessions.runtime.request_bodies import SpoolingHandler, is_signed_in
from sessions.runtime.server import RequestInbox
from sessions.web.views import file_bytes

MIB = 1024 * 1024


class Turns:
    count = 0


@asynccontextmanager
async def counted_turns() -> AsyncIterator[Turns]:
    """How often the loop came to somebody else."""
    turns = Turns()

    async def count() -> None:
        while True:
            turns.count += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    yield turns
    task.cancel()


class SlowDisk(io.FileIO):
    """Reads when it is allowed to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.may_read = threading.Event()
        self.was_allowed = False

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        self.was_allowed = self.may_read.wait(5)
        return super().read(size) or b""


async def test_waiting_for_the_disk_does_not_hold_the_loop(tmp_path: Path) -> None:
    with SlowDisk(tmp_path / "spool") as disk:
        disk.write(b"body")
        disk.seek(0)
        reading = asyncio.create_task(RequestInbox(cast("BinaryIO", disk)).get())
        await asyncio.sleep(0.05)
        disk.may_read.set()
        assert (await reading)["body"] == b"body"
        assert disk.was_allowed


async def test_long_body_is_read_in_pieces_with_turns_for_others() -> None:
    with tempfile.TemporaryFile() as spool:
        spool.write(bytes(32 * MIB))
        spool.seek(0)
        inbox, size, pieces, has_more = RequestInbox(spool), 0, 0, True
        async with counted_turns() as turns:
            while has_more:
                message = await inbox.get()
                size, pieces = size + len(message["body"]), pieces + 1
                has_more = message["more_body"]
        assert size == 32 * MIB
        assert turns.count >= pieces > 8


async def test_body_whose_client_has_left_is_followed_by_the_end() -> None:
    with tempfile.TemporaryFile() as spool:
        inbox = RequestInbox(spool)
    inbox.put_nowait({"type": "http.disconnect"})
    assert await inbox.get() == {"type": "http.disconnect"}


def receiver(*messages: Mapping[str, Any]) -> Any:
    """Has everything at once and never waits."""
    waiting = iter(messages)

    async def receive() -> Mapping[str, Any]:
        return next(waiting)

    return receive


def path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


async def test_copying_a_body_gives_others_their_turn_and_lies_in_its_folder(
    settings: Any, tmp_path: Path
) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    piece = {"type": "http.request", "body": bytes(MIB), "more_body": True}
    receive = receiver(*[piece] * 32, {"type": "http.request", "body": b"end"})
    async with counted_turns() as turns:
        body = await SpoolingHandler().read_body(receive)
    with body:
        assert turns.count > 20
        assert path_of(body.fileno()).is_relative_to(tmp_path)
        assert body.read() == bytes(32 * MIB) + b"end"


async def test_client_that_leaves_early_aborts_the_request() -> None:
    receive = receiver(
        {"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}
    )
    with pytest.raises(RequestAborted):
        await SpoolingHandler().read_body(receive)


async def test_upload_that_told_no_length_is_measured(settings: Any) -> None:
    settings.BERTH_MAX_UPLOAD_MB = 1
    for size, is_taken in ((MIB, True), (MIB + 1, False)):
        scope = {"type": "http", "method": "PUT", "path": "/", "headers": [], "query_string": b""}
        pieces = file_bytes._body(ASGIRequest(scope, io.BytesIO(bytes(size))))
        with contextlib.nullcontext() if is_taken else pytest.raises(FileTooLargeError):
            assert sum([len(piece) async for piece in pieces]) == size


async def test_only_the_cookie_of_a_user_is_signed_in(alice: User) -> None:
    client = AsyncClient()
    await client.aforce_login(alice)
    name = django_settings.SESSION_COOKIE_NAME
    cookies = {name.encode(): client.cookies[name].value.encode()}
    assert await is_signed_in(b"", cookies)
    assert not await is_signed_in(b"", {name.encode(): b"forgedforgedforgedforgedforged"})
    assert not await is_signed_in(b"", {name.encode(): b"\xff"})
    assert not await is_signed_in(b"", {})
    alice.is_active = False
    await alice.asave()
    assert not await is_signed_in(b"", cookies)


async def test_the_key_of_a_user_is_signed_in(alice: User) -> None:
    _, secret = await services.api_key_create(user=alice, name="nightly")
    assert await is_signed_in(f"Bearer {secret}".encode(), {})
    assert await is_signed_in(f"bearer  {secret} ".encode(), {})
    assert not await is_signed_in(b"Bearer forged", {})
    assert not await is_signed_in(b"Bearer \xff", {})
    assert not await is_signed_in(f"Basic {secret}".encode(), {})


async def test_a_cookie_does_not_help_a_wrong_key(alice: User) -> None:
    client = AsyncClient()
    await client.aforce_login(alice)
    name = django_settings.SESSION_COOKIE_NAME
    cookies = {name.encode(): client.cookies[name].value.encode()}
    assert not await is_signed_in(b"Bearer forged", cookies)
