"""The framing itself, and a guest that is sent anything at all."""

import array
import asyncio
import json
import random
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions.sandbox.base import ContainerSpec
from sessions.sandbox.guest import compact_json, wire
from sessions.sandbox.limits import Limits
from tests.sandbox.child_backend import ChildBackend, ChildGuest
from tests.sandbox.hostile_guest import json_frame

frame_parts = st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=300))


@pytest.mark.slow
@given(st.lists(frame_parts, max_size=10), st.integers(1, 50))
def test_frames_come_out_as_they_went_in_however_they_are_cut(parts, size):
    data = b"".join(wire.frame(*part) for part in parts)
    decoder = wire.FrameDecoder()
    found = []
    for start in range(0, len(data), size):
        found += list(decoder.feed(data[start : start + size]))
    assert found == parts


@given(st.lists(st.binary(max_size=100)))
def test_any_bytes_are_frames_or_an_error(pieces):
    decoder = wire.FrameDecoder()
    for piece in pieces:
        try:
            for _kind, _ident, payload in decoder.feed(piece):
                assert len(payload) <= wire.MAX_PAYLOAD
        except wire.WireError:
            return


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
        st.text(), st.binary(max_size=9).map(lambda b: b.decode("utf-8", "surrogateescape")),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)  # fmt: skip


@given(json_values)
@pytest.mark.slow
def test_the_guests_json_is_json(value):
    assert json.loads(compact_json.encode(value)) == value
    assert compact_json.decode(json.dumps(value).encode()) == value


@pytest.mark.slow
@given(st.one_of(st.binary(max_size=50), st.text(max_size=50).map(str.encode)))
def test_the_guests_json_reads_the_same_or_refuses(data):
    try:
        value = compact_json.decode(data)
    except ValueError:
        return
    assert json.loads(data) == value


def test_the_guests_json_refuses_what_would_blow_it_up():
    for data in (b"[" * 200_000, b'{"a":' * 100_000, b"NaN", b"Infinity", b"1 2", b"", b"\xff"):
        with pytest.raises(ValueError):  # noqa: PT011 - any of its kind
            compact_json.decode(data)


# The guest, over a plain socket


class Visitor:
    def __init__(self, guest: ChildGuest) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(20)
        self._door = socket.socket(socket.AF_UNIX)
        self._door.connect(str(guest.socket_path))
        fds = array.array("i", [theirs.fileno(), theirs.fileno()])
        self._door.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        theirs.close()

    def greet(self) -> None:
        self.send(json_frame(wire.HELLO, 0, {"versions": [wire.VERSION]}))

    def send(self, data: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may have hung up on us
            self.socket.sendall(data)

    def read_until(self, kind: int, ident: int) -> bytes:
        decoder = wire.FrameDecoder()
        while data := self.socket.recv(65536):
            for found, number, payload in decoder.feed(data):
                if (found, number) == (kind, ident):
                    return payload
        raise AssertionError("it hung up")

    def drain(self) -> None:
        """Read until it hangs up on us."""
        self.socket.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while self.socket.recv(65536):
                pass

    def close(self) -> None:
        self.socket.close()
        self._door.close()


@pytest.fixture(scope="module")
def guest() -> Iterator[ChildGuest]:
    with asyncio.Runner() as runner:
        backend = ChildBackend()
        spec = ContainerSpec("fuzz", "child", "fuzz", Limits())
        container_id = runner.run(backend.create(spec))
        yield backend.guest(container_id)
        assert backend.guest(container_id).is_running
        runner.run(backend.close())


def check_alive(guest: ChildGuest) -> None:
    visitor = Visitor(guest)
    visitor.greet()
    visitor.send(json_frame(wire.REQUEST, 1, {"verb": "usage"}))
    assert b"disk_free_bytes" in visitor.read_until(wire.RESULT, 1)
    visitor.close()


start_fields = st.fixed_dictionaries(
    {"exec_id": st.sampled_from(["a", "b", "", "../x", 5, None])},
    optional={
        "argv": st.sampled_from([["true"], [], "x", [5], ["a\0b"], ["\ud800"], None, ["/"]]),
        "cwd": st.sampled_from(["/", "/no", 5, None, "\0", "/workspace"]),
        "env": st.sampled_from([{}, {"A": "b"}, {"A": 5}, {"": "x"}, {"A=B": "c"}, [], None]),
        "timeout_s": st.sampled_from([0, 0.01, -1, 1e300, "x", None, True, 5]),
        "stdin": st.sampled_from([True, False, None, "x"]),
        "pty": st.sampled_from([None, {}, {"columns": 80, "rows": 24}, {"columns": -1}, 5]),
        "user": st.sampled_from(
            [None, {"uid": 2000, "gid": 2000}, {}, {"uid": -1, "gid": 0}, {"uid": 1 << 30}, 5, "x"]
        ),
        "window": st.sampled_from([0, 10, 1 << 20, 1 << 70, -1, "x"]),
        "stdout_offset": st.sampled_from([0, 5, -1, 1 << 70, "x"]),
        "attach_only": st.booleans(),
        "keep_log": st.booleans(),
    },
)
request_fields = st.fixed_dictionaries(
    {
        "verb": st.sampled_from(
            [
                "stat",
                "list",
                "read",
                "write",
                "make_dir",
                "rename",
                "remove",
                "archive",
                "usage",
                5,
            ]
        )
    },
    optional={
        "path": st.sampled_from(["", "a", "..", "/", "\0", "\ud800", 5, None, "a/b/c", "x" * 300]),
        "target": st.sampled_from(["b", "", 5]),
        "offset": st.sampled_from([0, 5, -1, 1 << 70, "x", 1.5]),
        "length": st.sampled_from([0, 5, -1, 1 << 70, "x"]),
        "format": st.sampled_from(["zip", "tar", "rar", 5]),
        "window": st.sampled_from([0, 1 << 20, -5, "x"]),
    },
)
kinds = st.sampled_from([1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 21, 22, 23, 32, 33, 99])
bodies = st.one_of(
    st.binary(max_size=40),
    start_fields.map(lambda value: json.dumps(value).encode()),
    request_fields.map(lambda value: json.dumps(value).encode()),
    st.builds(
        lambda stream, offset, data: wire.POSITION.pack(stream, offset) + data,
        st.integers(0, 4),
        st.one_of(st.integers(0, 9), st.integers(0, (1 << 64) - 1)),
        st.binary(max_size=9),
    ),
)
host_frames = st.one_of(
    st.builds(wire.frame, kinds, st.integers(0, 6), bodies),
    st.builds(json_frame, st.just(wire.START), st.integers(1, 6), start_fields),
    st.builds(json_frame, st.just(wire.REQUEST), st.integers(1, 6), request_fields),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    is_polite=st.booleans(),
    pieces=st.lists(st.one_of(host_frames, st.binary(max_size=40)), max_size=12),
)
def test_no_bytes_of_a_host_end_the_guest(guest, is_polite, pieces):
    visitor = Visitor(guest)
    if is_polite:
        visitor.greet()
    visitor.send(b"".join(pieces))
    visitor.drain()
    visitor.close()
    check_alive(guest)


def test_a_host_that_hangs_up_at_any_moment_is_survived(guest):
    whole = json_frame(wire.HELLO, 0, {"versions": [1]}) + json_frame(
        wire.START, 1, {"exec_id": "cut", "argv": ["true"]}
    )
    for end in range(0, len(whole), 3):
        visitor = Visitor(guest)
        visitor.send(whole[:end])
        visitor.close()
    check_alive(guest)


def test_a_host_that_never_reads_is_not_heard_for_ever(guest):
    """Its pings would otherwise fill the guest's memory with answers."""
    visitor = Visitor(guest)
    visitor.greet()
    visitor.socket.settimeout(0.5)
    pings = wire.frame(wire.PING, 0, b"x" * 64) * 400_000
    with pytest.raises(TimeoutError):
        visitor.socket.sendall(pings)
    check_alive(guest)
    visitor.close()


@pytest.mark.parametrize("fds", [0, 1, 3])
def test_a_visitor_with_the_wrong_descriptors_is_turned_away(guest, fds):
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(20)
        door.connect(str(guest.socket_path))
        numbers = array.array("i", [0] * fds)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if fds else []
        door.sendmsg([b"\0"], rights)
        assert door.recv(1) == b""
    check_alive(guest)


def test_only_the_versions_it_speaks_are_agreed_on(guest):
    visitor = Visitor(guest)
    visitor.send(json_frame(wire.HELLO, 0, {"versions": [2, 3]}))
    assert b"version" in visitor.read_until(wire.ERROR, 0)
    visitor.close()


def test_random_garbage_in_bulk(guest):
    source = random.Random(7)
    for _visit in range(30):
        visitor = Visitor(guest)
        visitor.greet()
        visitor.send(source.randbytes(5000))
        visitor.drain()
        visitor.close()
    check_alive(guest)
