"""A call of a program that does not read its answer."""

from collections.abc import AsyncGenerator

from django.contrib.auth.models import User

from sessions import services
from sessions.models import ChatCompletion, Session
from sessions.providers.base import TextDelta
from sessions.providers.chat_answer import Piece
from sessions.runtime.chat_turn import ChatRun
from sessions.runtime.leases import lease_name
from sessions.services import NewChat

MESSAGES = [{"role": "user", "content": "Count."}]


class Counting:
    """An endless answer."""

    def __init__(self) -> None:
        self.said = 0
        self.is_closed = False

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        try:
            while True:
                self.said += 1
                yield Piece(b"x" * 1000, [TextDelta(f"{self.said} ")])
        finally:
            self.is_closed = True


async def test_who_does_not_read_holds_the_endpoint_up(alice: User) -> None:
    lease = lease_name()
    new = NewChat("scripted", "scripted", {"messages": MESSAGES}, MESSAGES, lease)
    chat = await services.chat_begin(owner=alice, new=new)
    source = Counting()
    run = ChatRun(chat, lease, source.pieces(), MESSAGES)
    pieces = run.pieces()
    for _ in range(3):
        await anext(pieces)
    # What goes on beside the reader gets every chance to run ahead.
    assert not await services.chat_renew(chat=chat, lease=lease)
    assert not await services.chat_renew(chat=chat, lease=lease)
    assert source.said <= 3 + 2, "one waits, and one is on its way"
    await pieces.aclose()
    assert source.is_closed
    await chat.arefresh_from_db()
    assert chat.status == ChatCompletion.Status.FAILED
    session = await Session.objects.aget()
    assert (session.status, session.lease_owner) == ("stopped", "")
