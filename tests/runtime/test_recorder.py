import asyncio

import pytest

from sessions.errors import LeaseLostError
from sessions.events import log
from sessions.events.types import MessageDelta, Notice, Output, StepEnded
from sessions.models import Session
from sessions.runtime.pending import MAX_PENDING_BYTES, MAX_PIECE_BYTES, PendingEvents
from sessions.runtime.recorder import SessionRecorder

LEASE = "host:1:abc"


@pytest.fixture
async def held(agent_session: Session) -> Session:
    await Session.objects.filter(id=agent_session.id).aupdate(lease_owner=LEASE)
    return await Session.objects.aget(id=agent_session.id)


async def test_pieces_that_follow_each_other_become_one_event(held: Session) -> None:
    recorder = SessionRecorder(held, LEASE)
    await recorder.record(Notice("info", "first"))
    for i in range(10):
        await recorder.record(Output("c", "stdout", i * 3, b"abc"))
    await recorder.record(Output("c", "stderr", 0, b"!"), MessageDelta("m", "text", "a"))
    await recorder.record(MessageDelta("m", "text", "b"))
    await recorder.aclose()
    bodies = [event.body for event in await log.read(held.id, after=held.last_seq)]
    outputs = [body for body in bodies if isinstance(body, Output)]
    assert b"".join(o.content for o in outputs if o.stream == "stdout") == b"abc" * 10
    assert len(outputs) <= 3
    texts = [body.text for body in bodies if isinstance(body, MessageDelta)]
    assert "".join(texts) == "ab"
    assert isinstance(bodies[0], Notice)


async def test_a_piece_never_grows_past_its_bound(held: Session) -> None:
    recorder = SessionRecorder(held, LEASE)
    size = 40 * 1024
    for i in range(8):
        await recorder.record(Output("c", "stdout", i * size, bytes(size)))
    await recorder.aclose()
    events = await log.read(held.id, after=held.last_seq, max_bytes=10**9)
    sizes = [len(event.body.data) for event in events]
    assert max(sizes) <= MAX_PIECE_BYTES
    assert sum(sizes) == 8 * size


async def test_a_gap_in_the_offsets_is_kept(held: Session) -> None:
    recorder = SessionRecorder(held, LEASE)
    await recorder.record(Output("c", "stdout", 0, b"a"), Output("c", "stdout", 9, b"b"))
    await recorder.aclose()
    events = await log.read(held.id, after=held.last_seq)
    assert [event.body for event in events] == [
        Output("c", "stdout", 0, b"a"),
        Output("c", "stdout", 9, b"b"),
    ]


async def test_flush_returns_when_everything_before_it_is_stored(held: Session) -> None:
    recorder = SessionRecorder(held, LEASE)
    for i in range(50):
        await recorder.record(Notice("info", str(i)))
        if i % 10 == 9:
            await recorder.flush()
            events = await log.read(held.id, after=held.last_seq)
            assert [e.body for e in events] == [Notice("info", str(n)) for n in range(i + 1)]
    await recorder.aclose()


async def test_what_is_not_stored_yet_is_bounded(held: Session) -> None:
    recorder = SessionRecorder(held, LEASE)
    piece = bytes(256 * 1024)
    most = 0
    for i in range(40):
        await recorder.record(Output("c", "stdout", i * len(piece), piece))
        most = max(most, recorder._pending.bytes)
    await recorder.aclose()
    assert most <= MAX_PENDING_BYTES + len(piece)
    assert recorder._pending.bytes == 0


async def test_losing_the_lease_is_told_to_the_writer(held: Session) -> None:
    recorder = SessionRecorder(held, LEASE)
    await Session.objects.filter(id=held.id).aupdate(lease_owner="other")
    await recorder.record(Notice("info", "x"))
    with pytest.raises(LeaseLostError):
        await recorder.flush()
    with pytest.raises(LeaseLostError):
        await recorder.record(Notice("info", "y"))
    with pytest.raises(LeaseLostError):
        await recorder.aclose()
    assert [e for e in await log.read(held.id) if isinstance(e.body, Notice)] == []


async def test_tokens_and_last_line_reach_the_session(held: Session) -> None:
    recorder = SessionRecorder(held, LEASE)
    await recorder.record(StepEnded(1, 1, [], 10, 3), Output("c", "stdout", 0, b"hello\n"))
    await recorder.flush()
    await recorder.record(StepEnded(1, 2, [], 5, 1))
    await recorder.aclose()
    row = await Session.objects.aget(id=held.id)
    assert (row.input_tokens, row.output_tokens, row.last_line) == (15, 4, "hello")


@pytest.mark.slow
async def test_the_last_line_is_shown_though_nothing_follows_it(held: Session) -> None:
    recorder = SessionRecorder(held, LEASE)
    await recorder.record(Output("c", "stdout", 0, b"first\n"))
    await recorder.flush()
    await recorder.record(Output("c", "stdout", 6, b"second\n"))
    try:
        async with asyncio.timeout(10):
            while (await Session.objects.aget(id=held.id)).last_line != "second":  # noqa: ASYNC110  # a row
                await asyncio.sleep(0.05)
    finally:
        await recorder.aclose()


@pytest.mark.slow
def test_output_byte_by_byte_is_joined_when_it_is_taken() -> None:
    pending = PendingEvents()
    data = bytes(range(256)) * 1024
    for i in range(len(data)):
        pending.add(Output("c", "stdout", i, data[i : i + 1]))
    taken = pending.take()
    assert [len(body.data) for body in taken] == [MAX_PIECE_BYTES] * 4
    assert b"".join(body.data for body in taken) == data
    pending.forget(pending.bytes)
    assert (pending.bytes, pending.take()) == (0, [])


def test_words_and_output_keep_their_order() -> None:
    pending = PendingEvents()
    bodies = (
        Output("c", "stdout", 0, b"a"),
        MessageDelta("m", "text", "x"),
        MessageDelta("m", "text", "y"),
        MessageDelta("n", "text", "z"),
        Output("c", "stdout", 1, b"b"),
        Output("c", "stdout", 2, b"c"),
        Output("d", "stdout", 3, b"d"),
    )
    for body in bodies:
        pending.add(body)
    assert pending.take() == [
        Output("c", "stdout", 0, b"a"),
        MessageDelta("m", "text", "xy"),
        MessageDelta("n", "text", "z"),
        Output("c", "stdout", 1, b"bc"),
        Output("d", "stdout", 3, b"d"),
    ]


def test_two_streams_in_alternation_become_few_events() -> None:
    pending = PendingEvents()
    for i in range(2000):
        pending.add(Output("c", "stdout", i, b"o"))
        pending.add(Output("c", "stderr", i, b"e"))
    pending.add(Notice("info", "between"))
    pending.add(Output("c", "stdout", 2000, b"o"))
    assert pending.take() == [
        Output("c", "stdout", 0, b"o" * 2000),
        Output("c", "stderr", 0, b"e" * 2000),
        Notice("info", "between"),
        Output("c", "stdout", 2000, b"o"),
    ]


def test_crumbs_count_for_more_than_their_bytes() -> None:
    pending = PendingEvents()
    for i in range(10_000):
        pending.add(Output("c", "stdout", 2 * i, b"o"))
    assert pending.bytes > 1024 * 1024
