"""Events are the same whatever pieces the network makes of them."""

from collections.abc import AsyncIterator, Iterable

import pytest

from sessions.providers import server_sent
from sessions.providers.server_sent import EventTooLargeError, data_of, raw_events

STREAM = b": hello\r\n\r\nevent: a\ndata: 1\ndata:2\n\ndata: three\r\n\r\ndata: cut"
EVENTS = [b": hello\r\n\r\n", b"event: a\ndata: 1\ndata:2\n\n", b"data: three\r\n\r\n"]


async def split(pieces: Iterable[bytes]) -> list[bytes]:
    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return [event async for event in raw_events(source())]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
async def test_pieces_of_any_size(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    events = await split(pieces)
    assert b"".join(events) == b"".join(EVENTS)
    assert [data for event in events if (data := data_of(event))] == [b"1\n2", b"three"]


async def test_an_event_that_grows_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sent, "MAX_EVENT_BYTES", 1000)
    fitting = b"data: " + b"x" * 900 + b"\n\n"
    assert await split([fitting] * 10) == [fitting] * 10
    for endless in ([b"data: " + b"x" * 400] * 3, [b"data: x\n"] * 200):
        with pytest.raises(EventTooLargeError):
            await split(endless)
