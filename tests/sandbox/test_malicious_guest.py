"""Whatever a guest sends, the host answers with one of its own errors and stays small."""

import asyncio
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions.errors import (
    BerthError,
    FileAccessError,
    ProtocolError,
    SandboxError,
    SandboxUnavailableError,
)
from sessions.sandbox.base import Exec, ExecEnded, ExecOutput, ExecRequest
from sessions.sandbox.channel import GuestChannel, open_channel
from sessions.sandbox.guest import wire
from tests.sandbox.hostile_guest import HostileStream, ended, hello, json_frame, output

REQUEST = ExecRequest("call", ("true",))
HUGE = (1 << 63) - 1
DEEP = b"[" * 100_000


async def connected() -> tuple[HostileStream, GuestChannel]:
    stream = HostileStream()
    stream.put(hello())
    return stream, await open_channel(stream)


async def everything(execution: Exec) -> list[ExecOutput | ExecEnded]:
    return [item async for item in execution]


LIES_OF_A_COMMAND = {
    "length of four gigabytes": b"\xff" * 64,
    "reserved bits": wire.HEADER.pack(0, wire.OUTPUT, 1, 0, 1),
    "unknown type": wire.frame(200, 1, b""),
    "host's own type": wire.frame(wire.START, 1, b"{}"),
    "id never used": output(2, 1, 0, b"x"),
    "output of id zero": output(0, 1, 0, b"x"),
    "output without a position": wire.frame(wire.OUTPUT, 1, b"\x01"),
    "output of no bytes": output(1, 1, 0, b""),
    "output of another stream": output(1, 7, 0, b"x"),
    "output of a terminal that is none": output(1, wire.PTY, 0, b"x"),
    "a gap": output(1, 1, 5, b"x"),
    "the same twice": output(1, 1, 0, b"x") + output(1, 1, 0, b"x"),
    "offset past all bounds": output(1, 1, HUGE, b"x"),
    "more than its credit": b"".join(output(1, 1, n << 16, bytes(1 << 16)) for n in range(17)),
    "an end that is not JSON": wire.frame(wire.ENDED, 1, b"\xff{"),
    "an end nested too deeply": wire.frame(wire.ENDED, 1, DEEP),
    "an end that is a list": wire.frame(wire.ENDED, 1, b"[]"),
    "an empty end": wire.frame(wire.ENDED, 1, b"{}"),
    "an unknown ending": ended(1, kind="victory"),
    "an ending only the host may tell": ended(1, kind="container_lost"),
    "an ending of another type": ended(1, kind=["exit"]),
    "an exit code of text": ended(1, exit_code="0"),
    "an exit code of true": ended(1, exit_code=True),
    "an exit code below zero": ended(1, exit_code=-1),
    "a huge number": wire.frame(wire.ENDED, 1, b'{"duration_ms":' + b"9" * 6000 + b"}"),
    "a duration that is no number": ended(1, duration_ms=float("nan")),
    "a timeout without end": ended(1, kind="timeout", timeout_s=float("inf")),
    "a signal of a megabyte": ended(1, kind="signal", signal="S" * 500_000),
    "sizes that do not fit": ended(1, sizes={"1": 9, "2": 0}),
    "sizes of another type": ended(1, sizes=[0, 0]),
    "a path of another type": ended(1, log_path=5),
    "credit for an output": wire.position_frame(wire.CREDIT, 1, 1, 10),
    "a started that says nothing": json_frame(wire.STARTED, 1, {}),
    "a started of another type": json_frame(wire.STARTED, 1, {"stdin": 7}),
    "a result": json_frame(wire.RESULT, 1, {}),
    "an error that is none": json_frame(wire.ERROR, 1, {"code": 1}),
    "an error about everything": json_frame(wire.ERROR, 0, {"code": "x", "message": "no"}),
}


@pytest.mark.parametrize("lie", LIES_OF_A_COMMAND.values(), ids=LIES_OF_A_COMMAND.keys())
async def test_a_lie_about_a_command_closes_the_channel(lie):
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    stream.put(lie)
    with pytest.raises(ProtocolError):
        await everything(execution)
    assert not channel.is_open
    with pytest.raises(SandboxUnavailableError):
        await channel.exec(REQUEST)
    await channel.close()
    assert stream.is_closed


LIES_OF_A_LISTING = {
    "not JSON": b"nonsense\n",
    "no list": b"{}\n",
    "no entry": b"[5]\n",
    "too few fields": b'[["a","file",1]]\n',
    "a way out": b'[["../x","file",1,1,1,null]]\n',
    "an absolute name": b'[["/x","file",1,1,1,null]]\n',
    "dots": b'[["..","file",1,1,1,null]]\n',
    "no name": b'[["","file",1,1,1,null]]\n',
    "a name of another type": b'[[7,"file",1,1,1,null]]\n',
    "an unknown kind": b'[["a","portal",1,1,1,null]]\n',
    "a kind of another type": b'[["a",[],1,1,1,null]]\n',
    "a size below zero": b'[["a","file",-1,1,1,null]]\n',
    "a time that is none": b'[["a","file",1,NaN,1,null]]\n',
    "a target of another type": b'[["a","symlink",1,1,1,5]]\n',
    "half a line": b'[["a","file"',
    "nested too deeply": DEEP + b"\n",
}


@pytest.mark.parametrize("lie", LIES_OF_A_LISTING.values(), ids=LIES_OF_A_LISTING.keys())
async def test_a_lie_in_a_listing_closes_the_channel(lie):
    stream, channel = await connected()
    listing = asyncio.create_task(channel.list_dir(""))
    await asyncio.sleep(0)
    stream.put(output(1, 1, 0, lie) + json_frame(wire.RESULT, 1, {}))
    with pytest.raises(ProtocolError):
        await listing
    assert not channel.is_open
    await channel.close()


@pytest.mark.parametrize(
    "answer", [{}, {"entry": 5}, {"entry": []}, {"entry": ["file", 1e400, 0, 0, None]}]
)
async def test_a_lie_about_an_entry_closes_the_channel(answer):
    stream, channel = await connected()
    asking = asyncio.create_task(channel.stat("x"))
    await asyncio.sleep(0)
    stream.put(json_frame(wire.RESULT, 1, answer))
    with pytest.raises(ProtocolError):
        await asking
    assert not channel.is_open
    await channel.close()


@pytest.mark.parametrize("figure", ["much", -1, True, [], float("nan"), 1e300])
async def test_a_lie_about_usage_closes_the_channel(figure):
    stream, channel = await connected()
    asking = asyncio.create_task(channel.usage())
    await asyncio.sleep(0)
    stream.put(json_frame(wire.RESULT, 1, {"memory_bytes": figure}))
    with pytest.raises(ProtocolError):
        await asking
    await channel.close()


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        json_frame(wire.HELLO, 0, {"version": 99}),
        json_frame(wire.HELLO, 0, {}),
        json_frame(wire.HELLO, 5, {"version": 1}),
        wire.frame(wire.HELLO, 0, b"["),
        wire.frame(wire.PONG, 0),
        json_frame(wire.ERROR, 0, {"code": "version", "message": "no"}),
        b"",
    ],
)
async def test_a_bad_greeting_opens_nothing(greeting):
    stream = HostileStream()
    stream.put(greeting)
    with pytest.raises(SandboxError):
        await open_channel(stream)
    assert stream.is_closed


WRONG: dict[str, object] = {
    "none": None, "text": "x", "list": [], "object": {}, "true": True, "negative": -1,
    "fraction": 0.5, "beyond all bounds": 1 << 63, "of 400 digits": 10**400, "NaN": float("nan"),
    "infinite": float("inf"), "lone surrogate": "\ud800",
}  # fmt: skip
LAWFUL = {
    ("signal", "none"), ("signal", "text"), ("signal", "lone surrogate"),
    ("timeout_s", "none"), ("timeout_s", "negative"), ("timeout_s", "fraction"),
    ("limit_bytes", "none"), ("peak_bytes", "none"),
    ("log_path", "text"), ("log_path", "lone surrogate"),
    ("stdin", "none"), ("offsets", "object"),
}  # fmt: skip
"""A signal's name and a path are text of the guest's, shown as such."""
FIELDS = {
    wire.ENDED: ("kind", "exit_code", "signal", "timeout_s", "limit_bytes", "peak_bytes",
                 "duration_ms", "sizes", "log_path"),
    wire.STARTED: ("stdin", "offsets"),
    wire.ERROR: ("code", "message"),
}  # fmt: skip
BODIES: dict[int, dict[str, object]] = {
    wire.ENDED: {"kind": "exit", "exit_code": 0, "duration_ms": 1, "log_path": "",
                 "sizes": {"1": 0, "2": 0}},
    wire.STARTED: {"existed": False, "stdin": None, "offsets": {"1": 0, "2": 0}},
    wire.ERROR: {"code": "failed", "message": "no"},
}  # fmt: skip
BENT = [
    (kind, field, name)
    for kind, fields_of_kind in FIELDS.items()
    for field in fields_of_kind
    for name in WRONG
    if (field, name) not in LAWFUL and not (kind == wire.ERROR and isinstance(WRONG[name], str))
]


@pytest.mark.parametrize(("kind", "field", "name"), BENT)
async def test_a_wrong_value_in_any_field_closes_the_channel(kind, field, name):
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    stream.put(json_frame(kind, 1, {**BODIES[kind], field: WRONG[name]}))
    stream.put(ended(1))
    with pytest.raises(ProtocolError):
        await everything(execution)
    assert not channel.is_open
    await channel.close()


LATE = {
    "the same end again": ended(1),
    "output": output(1, 1, 0, b"x"),
    "output far away": output(1, 1, HUGE, b"x"),
    "a start": json_frame(wire.STARTED, 1, {"stdin": None, "offsets": {}}),
    "an error": json_frame(wire.ERROR, 1, {"code": "x", "message": "x"}),
    "credit": wire.position_frame(wire.CREDIT, 1, 0, 9),
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE.keys())
async def test_what_comes_after_the_end_changes_nothing(late):
    stream, channel = await connected()
    first = await channel.exec(REQUEST)
    stream.put(ended(1) + late)
    assert len(await everything(first)) == 1
    second = await channel.exec(ExecRequest("another", ("true",)))
    stream.put(late + ended(2))
    assert len(await everything(second)) == 1
    assert channel.is_open
    await channel.close()


MORE_LIES = {
    "output that begins twice": json_frame(wire.STARTED, 1, BODIES[wire.STARTED]) * 2,
    "output that begins after some": output(1, 1, 0, b"x")
    + json_frame(wire.STARTED, 1, {"stdin": None, "offsets": {"1": 1, "2": 0}}),
    "output that begins past all bounds": json_frame(
        wire.STARTED, 1, {"stdin": None, "offsets": {"1": HUGE}}
    ),
    "input that begins past all bounds": json_frame(
        wire.STARTED, 1, {"stdin": {"offset": HUGE, "limit": 0}, "offsets": {}}
    ),
    "input that begins nowhere": json_frame(wire.STARTED, 1, {"stdin": {}, "offsets": {}}),
    "credit without end": wire.position_frame(wire.CREDIT, 1, 0, 9) * 100,
    "an answer to no ping": wire.frame(wire.PONG, 0, b"x"),
    "a second greeting": hello(),
}


@pytest.mark.parametrize("lie", MORE_LIES.values(), ids=MORE_LIES.keys())
async def test_what_may_be_said_once_closes_the_channel_when_said_again(lie):
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    stream.put(lie)
    with pytest.raises(ProtocolError):
        await everything(execution)
    await channel.close()


async def test_a_listing_too_long_to_hold_is_refused_and_nothing_else_is():
    stream, channel = await connected()
    listing = asyncio.create_task(channel.list_dir(""))
    await asyncio.sleep(0)
    line = json.dumps([["a", "file", 1, 1, 1, None]] * 1000).encode() + b"\n"
    at = 0
    for _line in range(101):
        stream.put(output(1, 1, at, line))
        at += len(line)
        await read_by_host(stream)
    with pytest.raises(FileAccessError, match="more than 100,000"):
        await listing
    assert channel.is_open
    await channel.close()


async def test_a_flood_is_cut_off_at_its_credit():
    """A guest that sends without end is not read to its end."""
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    for number in range(1000):
        stream.put(output(1, 1, number << 16, bytes(1 << 16)))
    with pytest.raises(ProtocolError):
        await everything(execution)
    assert stream.read_bytes < 20 << 20
    await channel.close()


@pytest.mark.slow
async def test_output_in_crumbs_is_kept_in_little_memory():
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    data = bytes(range(256)) * 256
    tracemalloc.start()
    for start in range(0, len(data), 4096):
        crumbs = [output(1, 1, start + n, data[start + n : start + n + 1]) for n in range(4096)]
        stream.put(b"".join(crumbs))
        await read_by_host(stream)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Kept one by one they take more than a hundred bytes each.
    assert held < 10 * len(data)
    stream.put(ended(1, sizes={"1": len(data), "2": 0}))
    items = await everything(execution)
    assert b"".join(item.data for item in items if isinstance(item, ExecOutput)) == data
    assert len(items) < 20
    await channel.close()


async def test_crumbs_of_two_streams_are_kept_in_little_memory():
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    size = 32 * 1024
    for start in range(0, size, 1024):
        crumbs = [output(1, 1 + n % 2, start + n // 2, b"x") for n in range(2048)]
        stream.put(b"".join(crumbs))
        await read_by_host(stream)
    stream.put(ended(1, sizes={"1": size, "2": size}))
    items = await everything(execution)
    offsets = {"stdout": 0, "stderr": 0}
    for item in items[:-1]:
        assert isinstance(item, ExecOutput)
        assert item.offset == offsets[item.stream]
        offsets[item.stream] += len(item.data)
    assert offsets == {"stdout": size, "stderr": size}
    assert len(items) < 2100
    await channel.close()


async def read_by_host(stream: HostileStream) -> None:
    while not stream.is_read:  # noqa: ASYNC110
        await asyncio.sleep(0)
    for _ in range(64):  # the last piece is taken apart in turns
        await asyncio.sleep(0)


async def test_crumbs_leave_turns_to_others():
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    turns = 0
    crumbs = b"".join(output(1, 1, n, b"x") for n in range(64 * 1024))
    stream.put(crumbs + ended(1, sizes={"1": 64 * 1024, "2": 0}))
    reading = asyncio.create_task(everything(execution))
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 200
    await channel.close()


async def test_a_request_without_an_answer_ends(monkeypatch):
    monkeypatch.setattr("sessions.sandbox.requests.QUIET_S", 0.05)
    stream, channel = await connected()
    with pytest.raises(SandboxUnavailableError, match="does not answer"):
        await channel.stat("x")
    with pytest.raises(SandboxUnavailableError, match="does not answer"):
        await channel.write_file("x", b"data")
    with pytest.raises(SandboxUnavailableError, match="does not answer"):
        await channel.list_dir("")
    await asyncio.sleep(0)
    assert bytes(stream.written).count(wire.frame(wire.CANCEL, 1)) == 1
    assert channel.is_open
    await channel.close()


async def test_a_guest_that_answers_no_ping_is_given_up(monkeypatch):
    monkeypatch.setattr("sessions.sandbox.connection.SILENCE_S", 0.2)
    monkeypatch.setattr("sessions.sandbox.connection.PING_INTERVAL_S", 0.05)
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    with pytest.raises(SandboxUnavailableError, match="no longer answers"):
        await everything(execution)
    assert bytes(stream.written).count(wire.frame(wire.PING, 0)) >= 2
    await channel.close()


async def test_as_many_pongs_as_pings_are_welcome(monkeypatch):
    monkeypatch.setattr("sessions.sandbox.connection.PING_INTERVAL_S", 0.02)
    stream, channel = await connected()
    for pongs in (1, 2):
        while bytes(stream.written).count(wire.frame(wire.PING, 0)) < pongs:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        stream.put(wire.frame(wire.PONG, 0))
        await read_by_host(stream)
        assert channel.is_open
    stream.put(wire.frame(wire.PONG, 0) * 1000)
    await read_by_host(stream)
    assert not channel.is_open
    await channel.close()


async def test_what_arrived_before_the_lie_is_still_given():
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    stream.put(output(1, 1, 0, b"good") + wire.frame(200, 1))
    item = await anext(aiter(execution))
    assert isinstance(item, ExecOutput)
    assert item.data == b"good"
    with pytest.raises(ProtocolError):
        await everything(execution)
    await channel.close()


async def test_hanging_up_in_the_middle_is_not_an_end():
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    stream.put(output(1, 1, 0, b"half"))
    stream.put(ended(1, sizes={"1": 4, "2": 0})[:-3])
    stream.hang_up()
    assert isinstance(await anext(aiter(execution)), ExecOutput)
    with pytest.raises(SandboxUnavailableError):
        await everything(execution)
    await channel.close()


async def test_an_error_message_is_shown_without_control_characters():
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    message = "\x1b]0;title\x07" + "x" * 10_000
    stream.put(json_frame(wire.ERROR, 1, {"code": "failed", "message": message}))
    with pytest.raises(SandboxError) as caught:
        await anext(aiter(execution))
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1000
    assert channel.is_open
    await channel.close()


numbers = st.one_of(st.integers(-5, 5), st.integers(), st.floats(), st.booleans())
values = st.recursive(
    st.one_of(st.none(), numbers, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
fields = st.sampled_from(
    ["kind", "exit_code", "signal", "sizes", "log_path", "duration_ms", "code", "message", "stdin"]
)
payloads = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda stream, offset, data: wire.POSITION.pack(stream, offset) + data,
        st.integers(0, 4),
        st.one_of(st.integers(0, 20), st.integers(0, (1 << 64) - 1)),
        st.binary(max_size=20),
    ),
    st.dictionaries(fields, values, max_size=9).map(lambda value: json.dumps(value).encode()),
)
frames = st.builds(
    wire.frame,
    st.one_of(st.sampled_from([1, 3, 4, 5, 32, 33, 34, 35]), st.integers(0, 255)),
    st.sampled_from([0, 1, 1, 1, 2, 3, 4_000_000_000]),
    payloads,
)


@settings(max_examples=150)
@given(st.lists(st.one_of(frames, st.binary(max_size=30)), max_size=8))
@pytest.mark.slow
def test_no_bytes_of_a_guest_raise_anything_else(pieces):
    asyncio.run(_survive(pieces))


async def _survive(pieces: list[bytes]) -> None:
    stream, channel = await connected()
    execution = await channel.exec(REQUEST)
    asking = asyncio.create_task(channel.usage())
    listing = asyncio.create_task(channel.list_dir("x"))
    await asyncio.sleep(0)
    for piece in pieces:
        if piece:
            stream.put(piece)
    stream.hang_up()
    answers = [everything(execution), asking, listing]
    for outcome in await asyncio.gather(*answers, return_exceptions=True):
        assert not isinstance(outcome, Exception) or isinstance(outcome, BerthError)
    await channel.close()
    assert stream.is_closed
    assert len(asyncio.all_tasks()) == 1
