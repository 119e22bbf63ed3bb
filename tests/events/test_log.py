import asyncio

import pytest

from sessions.errors import LeaseLostError, NotFoundError
from sessions.events import log
from sessions.events.types import (
    EVENT_TYPES,
    CallEnded,
    CallStarted,
    ContextCompacted,
    Ending,
    EventBody,
    Notice,
    Output,
    ProgramCall,
    ProgramSent,
    Resources,
    ShellEnded,
    ShellOpened,
    ShellResized,
    ShellWriter,
    TurnEnded,
    TurnQueued,
)
from sessions.models import Event, Session

SAMPLES: list[EventBody] = [
    TurnQueued(turn=1, text="hé\u202e", files=["a%ff"]),
    CallStarted("c.0", "c", 0, "shell", "echo", 1.5),
    Output("c.0", "stderr", 7, b"\x00\xff\r\n"),
    CallEnded("c.0", Ending("oom", limit_bytes=1, peak_bytes=2).to_json(), 3),
    TurnEnded(1, "failed", "No.", "Do this."),
    ContextCompacted(1, "gAAA", 5000, 700, 4000, 300),
    Resources(12.5, 1 << 20, 1 << 30, 2 << 20, 3, 512, None, 10 << 30),
    ProgramSent(1, [{"role": "tool", "text": "3", "tool_call_id": "call_1"}], 2),
    ProgramCall(1, "call_1", "add", '{"a": 1}'),
    ShellOpened("shell-1", "alice", 80, 24),
    ShellWriter("shell-1", "alice", "0a1b"),
    ShellResized("shell-1", 17, 100, 30),
    ShellEnded("shell-1", Ending("exit", exit_code=0).to_json(), 3, 17, "Why."),
]


async def test_events_come_back_as_they_were(agent_session: Session) -> None:
    start = agent_session.last_seq
    before = await log.read(agent_session.id)
    await log.append(agent_session.id, SAMPLES)
    stored = await log.read(agent_session.id, after=before[-1].seq)
    assert [event.body for event in stored] == SAMPLES
    assert [event.seq for event in stored] == list(
        range(before[-1].seq + 1, before[-1].seq + 1 + len(SAMPLES))
    )
    assert start == 0


async def test_numbers_start_at_one(agent_session: Session) -> None:
    assert (await log.read(agent_session.id))[0].seq == 1


async def test_concurrent_writers_leave_no_hole_and_no_double(agent_session: Session) -> None:
    async def write(n: int) -> None:
        for i in range(10):
            await log.append(agent_session.id, [Notice("info", f"{n}-{i}")] * 3)

    await asyncio.gather(*(write(n) for n in range(5)))
    rows = [row async for row in Event.objects.filter(session=agent_session).order_by("seq")]
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert sum(row.type == "notice" for row in rows) == 150


async def test_a_runner_without_the_lease_writes_nothing(agent_session: Session) -> None:
    await Session.objects.filter(id=agent_session.id).aupdate(lease_owner="mine")
    before = await log.read(agent_session.id)
    with pytest.raises(LeaseLostError):
        await log.append(agent_session.id, [Notice("info", "x")], lease="yours")
    assert await log.read(agent_session.id) == before
    await log.append(agent_session.id, [Notice("info", "x")], lease="mine")


async def test_a_deleted_session_takes_no_events(agent_session: Session) -> None:
    await Session.objects.filter(id=agent_session.id).adelete()
    with pytest.raises(NotFoundError):
        await log.append(agent_session.id, [Notice("info", "x")])


async def test_a_batch_ends_at_its_byte_bound_but_is_never_empty(agent_session: Session) -> None:
    first = (await log.read(agent_session.id))[-1].seq
    await log.append(
        agent_session.id, [Output("c", "stdout", i * 10, b"x" * 10) for i in range(9)]
    )
    batch = await log.read(agent_session.id, after=first, max_bytes=150)
    assert len(batch) == 3
    batch = await log.read(agent_session.id, after=first, max_bytes=1)
    assert len(batch) == 1


async def test_long_texts_count_towards_the_bound(agent_session: Session) -> None:
    first = (await log.read(agent_session.id))[-1].seq
    await log.append(agent_session.id, [Notice("info", "x" * 1000)] * 9)
    assert len(await log.read(agent_session.id, after=first, max_bytes=2500)) == 3


async def test_an_append_that_fails_leaves_the_counter_alone(agent_session: Session) -> None:
    row = await Session.objects.aget(id=agent_session.id)
    with pytest.raises(TypeError):
        await log.append(agent_session.id, [Notice("info", object())])  # type: ignore[arg-type]
    assert (await Session.objects.aget(id=agent_session.id)).last_seq == row.last_seq


def test_every_event_type_is_registered_under_its_own_name() -> None:
    assert all(cls.type == name for name, cls in EVENT_TYPES.items())
    # A class with slots is made twice, so names are compared.
    assert {cls.__name__ for cls in EVENT_TYPES.values()} == {
        cls.__name__ for cls in EventBody.__subclasses__()
    }


async def test_a_log_is_forgotten_piece_by_piece(
    agent_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "FORGET_EVENTS", 4)
    await log.append(agent_session.id, [Notice("info", str(i)) for i in range(9)])
    there = len(await log.read(agent_session.id))
    forgotten = []
    while count := await log.forget_some(agent_session.id):
        forgotten.append(count)
        rest = await log.read(agent_session.id)
        assert len(rest) == there - sum(forgotten)
    assert max(forgotten) == 4
    assert await log.read(agent_session.id) == []


async def test_one_shells_events_are_read_alone(agent_session: Session) -> None:
    mine: list[EventBody] = [
        Output("shell-1", "pty", 0, b"a"),
        ShellResized("shell-1", 1, 100, 30),
        Output("shell-1", "pty", 1, b"b"),
        ShellEnded("shell-1", Ending("stopped").to_json(), 3),
    ]
    others: list[EventBody] = [
        Output("shell-2", "pty", 0, b"c"),
        ShellResized("shell-2", 1, 100, 30),
        Notice("info", "shell-1"),
    ]
    pairs = [body for i, body in enumerate(mine) for body in [*others[i : i + 1], body]]
    await log.append(agent_session.id, pairs)
    stored = await log.read_shell(agent_session.id, "shell-1")
    assert [event.body for event in stored] == mine
    rest = await log.read_shell(agent_session.id, "shell-1", after=stored[1].seq)
    assert rest == stored[2:]
