"""The same templates bent by hypothesis, which shrinks what it finds: real processes for the guest."""

import asyncio
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sessions.sandbox.base import ContainerSpec
from sessions.sandbox.guest import wire
from sessions.sandbox.limits import MIB, Limits
from tests.fuzz.frames import Frame, encode, mutated, parse
from tests.fuzz.targets import guest_end, host_end, pieces
from tests.sandbox.child_backend import ChildBackend, ChildGuest
from tests.sandbox.test_wire_fuzz import Visitor, check_alive

pytestmark = pytest.mark.slow
MAX_CHANGES = 6
SMALL = Limits(disk_bytes=64 * MIB)
IN_ONE_GUEST = settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def inputs(seeds: tuple[bytes, ...], templates: tuple[Frame, ...]) -> st.SearchStrategy[bytes]:
    """A seed, or templates in any order, with a few changes."""

    def bent(frames: list[Frame], numbers: list[int]) -> bytes:
        for number in numbers:
            frames = mutated(frames, templates, Random(number))
        return encode(frames)

    whole = st.sampled_from([parse(seed)[0] for seed in seeds])
    picked = st.lists(st.sampled_from(templates), max_size=12)
    changes = st.lists(st.integers(0, (1 << 32) - 1), max_size=MAX_CHANGES)
    return st.builds(bent, st.one_of(whole, picked), changes)


@pytest.fixture(scope="module")
def host() -> Iterator[None]:
    yield
    host_end.let_go()


@pytest.fixture(scope="module")
def guest() -> Iterator[ChildGuest]:
    with asyncio.Runner() as runner:
        backend = ChildBackend()
        spec = ContainerSpec("fuzz", "child", "fuzz", SMALL)
        container_id = runner.run(backend.create(spec))
        yield backend.guest(container_id)
        assert backend.guest(container_id).is_running
        runner.run(backend.close())


@IN_ONE_GUEST
@given(inputs(host_end.SEEDS, host_end.TEMPLATES))
def test_nothing_a_guest_says_breaks_its_host(host, data):
    host_end.run(data)


@IN_ONE_GUEST
@given(inputs(pieces.SEEDS, pieces.TEMPLATES))
def test_nothing_that_is_sent_is_read_in_two_ways(data):
    pieces.run(data)


@IN_ONE_GUEST
@given(inputs(guest_end.SEEDS, guest_end.TEMPLATES))
@example(encode(guest_end.TEMPLATES))
def test_nothing_a_host_says_ends_its_guest(guest, data):
    visitor = Visitor(guest)
    visitor.send(data)
    visitor.drain()
    visitor.close()
    check_alive(guest)


REQUESTED = [frame for frame in guest_end.TEMPLATES if frame.kind == wire.REQUEST]


@pytest.mark.parametrize("request_frame", REQUESTED, ids=lambda frame: frame.payload.decode())
def test_the_guest_understands_each_request(guest, request_frame):
    """One that is refused as it stands would only ever reach the refusal."""
    visitor = Visitor(guest)
    visitor.greet()
    own = [frame for frame in guest_end.REQUESTS if frame.ident == request_frame.ident]
    visitor.send(encode([frame for frame in own if frame.kind != wire.CANCEL]))
    decoder, answer = wire.FrameDecoder(), b""
    while not answer:
        for kind, ident, payload in decoder.feed(visitor.socket.recv(65536)):
            if kind in (wire.RESULT, wire.ERROR) and ident in (0, request_frame.ident):
                answer = payload
    visitor.close()
    assert b'"bad_request"' not in answer
    assert b'"protocol_error"' not in answer
