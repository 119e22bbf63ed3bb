"""Files of a message on their way from the host into the workspace."""

import asyncio
import tracemalloc
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from sessions import services
from sessions.events.types import CallEnded, Notice, Output, TurnEnded
from sessions.models import Session, Upload
from sessions.runtime.process import Runtime
from sessions.runtime.supervisor import Supervisor
from sessions.sandbox.limits import MIB, Limits
from sessions.services import NewUpload
from tests.runtime.conftest import Log

pytestmark = pytest.mark.slow


async def start(owner: User, text: str, *files: NewUpload) -> Session:
    return await services.session_create(
        owner=owner,
        text=text,
        provider="scripted",
        model="scripted",
        image="child",
        limits=Limits(),
        files=files,
    )


def is_end_of(turn: int):
    return lambda body: isinstance(body, TurnEnded) and body.turn == turn


def damage(path: str, how: str) -> None:
    if how == "missing":
        Path(path).unlink()
    else:
        Path(path).write_bytes(b"cut")


@pytest.mark.parametrize("how", ["missing", "cut short"])
async def test_a_lost_file_is_told_of_once_and_fails_no_turn(
    alice: User, sandbox_runtime: Runtime, how: str
) -> None:
    lost, whole = NewUpload("lost.txt", [b"123456"], 6), NewUpload("whole.txt", [b"abc"], 3)
    session = await start(alice, "```bash\ntest ! -e lost.txt && cat whole.txt\n```", lost, whole)
    upload = await Upload.objects.aget(name="lost.txt")
    await asyncio.to_thread(damage, upload.stored_path, how)
    await services.turn_submit(session=session, text="```bash\ntrue\n```")
    supervising = asyncio.create_task(Supervisor(sandbox_runtime, max_running_turns=1).run())
    try:
        ends = [await Log(session).wait_for(is_end_of(turn)) for turn in (1, 2)]
    finally:
        supervising.cancel()
        await asyncio.gather(supervising, return_exceptions=True)
    assert [end.reason for end in ends] == ["completed"] * 2
    assert [ended.ending["exit_code"] for ended in await Log(session).of(CallEnded)] == [0, 0]
    notices = [notice for notice in await Log(session).of(Notice) if notice.code == "upload_lost"]
    assert [notice.text for notice in notices] == [
        "The uploaded file “lost.txt” is no longer on the server. Send it again."
    ]
    assert not await Upload.objects.filter(delivered_at=None).aexists()
    assert not any(services.upload_folder(session.id).iterdir())


async def test_a_large_file_is_never_in_memory_as_a_whole(
    supervisor: Supervisor, alice: User
) -> None:
    size = 48
    tracemalloc.start()
    try:
        pieces = (bytes([n]) * MIB for n in range(size))
        session = await start(
            alice, "```bash\nwc -c < large\n```", NewUpload("large", pieces, size * MIB)
        )
        end = await Log(session).wait_for(is_end_of(1), 60)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (ended,) = await Log(session).of(CallEnded)
    assert (end.reason, ended.ending["exit_code"]) == ("completed", 0)
    assert peak < size / 2 * MIB


async def test_a_file_that_replaces_another_is_told_of(
    supervisor: Supervisor, alice: User
) -> None:
    session = await start(alice, "```bash\necho old > x.txt\n```")
    await Log(session).wait_for(is_end_of(1))
    file = NewUpload("x.txt", [b"new"], 3)
    await services.turn_submit(session=session, text="```bash\ncat x.txt\n```", files=[file])
    await Log(session).wait_for(is_end_of(2))
    assert (await Log(session).of(Output))[-1].content == b"new"
    (notice,) = await Log(session).of(Notice)
    assert notice.text == "The uploaded file “x.txt” replaced the one in the workspace."
