"""Sending messages to a session, with files, and taking waiting ones back."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient

from sessions.models import Session, Turn, TurnStatus, Upload

JSON = {"Accept": "application/json"}


async def send(session: Session, user: User, **fields: object) -> tuple[int, dict[str, object]]:
    client = AsyncClient()
    await client.aforce_login(user)
    response = await client.post(f"/sessions/{session.id}/turns/", fields, headers=JSON)
    return response.status_code, response.json()


def stored(upload: Upload) -> bytes:
    return Path(upload.stored_path).read_bytes()


async def remove(session: Session, user: User, number: object) -> int:
    client = AsyncClient()
    await client.aforce_login(user)
    response = await client.post(f"/sessions/{session.id}/turns/{number}/remove/", headers=JSON)
    return response.status_code


async def test_message_is_queued(agent_session: Session, alice: User) -> None:
    assert await send(agent_session, alice, text="And now?") == (201, {"turn": 2})
    turn = await Turn.objects.aget(session=agent_session, number=2)
    assert (turn.text, turn.status) == ("And now?", TurnStatus.QUEUED)


async def test_files_go_with_the_message(agent_session: Session, alice: User) -> None:
    files = [SimpleUploadedFile("a b.txt", b"one"), SimpleUploadedFile("ü.bin", b"\x00\xff")]
    status, _ = await send(agent_session, alice, text="Look", files=files)
    assert status == 201
    uploads = [upload async for upload in Upload.objects.order_by("id")]
    assert [upload.name for upload in uploads] == ["a%20b.txt", "%C3%BC.bin"]
    assert [stored(upload) for upload in uploads] == [b"one", b"\x00\xff"]


async def test_empty_and_blank_messages_are_refused(agent_session: Session, alice: User) -> None:
    for text in ("", " \n\t"):
        status, body = await send(agent_session, alice, text=text)
        assert status == 400
        assert body["error"]["param"] == "text"  # type: ignore[index]
    assert await Turn.objects.filter(session=agent_session).acount() == 1


async def test_megabyte_is_taken_and_more_is_refused(agent_session: Session, alice: User) -> None:
    status, _ = await send(agent_session, alice, text="x" * 1024 * 1024)
    assert status == 201
    status, body = await send(agent_session, alice, text="x" * (1024 * 1024 + 1))
    assert status == 400
    assert "file" in body["error"]["message"]  # type: ignore[index]


async def test_control_characters_do_not_break_a_message(
    agent_session: Session, alice: User
) -> None:
    status, _ = await send(agent_session, alice, text="a\x00b\x1b[31m\u202e")
    assert status == 201
    turn = await Turn.objects.aget(session=agent_session, number=2)
    assert turn.text == "a\ufffdb\x1b[31m\u202e"


async def test_waiting_message_can_be_taken_back_once(agent_session: Session, alice: User) -> None:
    await send(agent_session, alice, text="Never mind")
    assert await remove(agent_session, alice, 2) == 200
    assert await remove(agent_session, alice, 2) == 409
    turn = await Turn.objects.aget(session=agent_session, number=2)
    assert turn.status == TurnStatus.REMOVED


async def test_started_message_cannot_be_taken_back(agent_session: Session, alice: User) -> None:
    await Turn.objects.filter(session=agent_session).aupdate(status=TurnStatus.RUNNING)
    assert await remove(agent_session, alice, 1) == 409


async def test_numbers_that_are_no_messages(agent_session: Session, alice: User) -> None:
    assert await remove(agent_session, alice, 99) == 404
    assert await remove(agent_session, alice, 10**30) == 400


@pytest.mark.slow
async def test_number_of_waiting_messages_is_bounded(agent_session: Session, alice: User) -> None:
    statuses = [(await send(agent_session, alice, text="more"))[0] for _ in range(50)]
    assert statuses[:49] == [201] * 49
    assert statuses[49] == 409
