"""How much the server takes of a body, with a real socket and a look at its files."""

import contextlib
import json
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from tests.serve import raw_http
from tests.serve.conftest import Probe
from tests.serve.probe_app import ANYONE_BYTES, SIGNED_IN_BYTES

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
ALICE = "Cookie: who=alice\r\n"
SENDERS = pytest.mark.parametrize(
    "cookie", ["", "Cookie: who=mallory\r\n", "Cookie: who=broken\r\n"]
)


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // MIB):
        yield b"%x\r\n" % MIB + bytes(MIB) + b"\r\n"
    yield b"0\r\n\r\n"


def put(connection: socket.socket, extra: str) -> None:
    connection.sendall(raw_http.request("/upload", method="PUT", extra=extra))


def chunked_answer(probe: Probe, cookie: str, size: int) -> tuple[int, bytes, int]:
    """Status and text for a chunked body, and the most the server kept of it."""
    most = 0
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        put(connection, f"Transfer-Encoding: chunked\r\n{cookie}")
        # A refused sender may find the connection closed.
        with contextlib.suppress(ConnectionError):
            for chunk in chunks(size):
                connection.sendall(chunk)
                most = max(most, probe.spooled_bytes())
        status, headers = raw_http.read_head(reader)
        return status, reader.read(int(headers["content-length"])), most


@SENDERS
def test_announced_body_of_a_stranger_is_refused_before_it_is_sent(
    probe: Probe, cookie: str
) -> None:
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        put(connection, f"Content-Length: {ANYONE_BYTES + 1}\r\n{cookie}")
        status, headers = raw_http.read_head(reader)
        assert (status, headers["connection"]) == (413, "close")
        assert b"too large" in reader.read(int(headers["content-length"]))
        assert reader.read() == b"", "the connection stayed open"


@SENDERS
def test_endless_body_of_a_stranger_is_cut_and_not_kept(probe: Probe, cookie: str) -> None:
    status, _, most = chunked_answer(probe, cookie, 64 * MIB)
    assert status == 413
    assert most < ANYONE_BYTES + MIB
    assert probe.spooled_bytes() == 0


def test_refusal_follows_no_invitation_to_go_on(probe: Probe) -> None:
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        put(connection, f"Content-Length: {SIGNED_IN_BYTES + 1}\r\nExpect: 100-continue\r\n")
        status, headers = raw_http.read_head(reader)
        assert status == 413
        reader.read(int(headers["content-length"]))
        assert reader.read() == b""


def test_refused_client_that_stays_is_hung_up_on(probe: Probe) -> None:
    with raw_http.open_socket(probe.port) as connection:
        put(connection, f"Content-Length: {ANYONE_BYTES + 1}\r\n")
        start = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while connection.recv(4096):
                pass
        assert time.monotonic() - start < 20


def test_stranger_may_send_a_form(probe: Probe) -> None:
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        put(connection, f"Content-Length: {ANYONE_BYTES}\r\n")
        connection.sendall(bytes(ANYONE_BYTES))
        status, headers = raw_http.read_head(reader)
        answer = json.loads(reader.read(int(headers["content-length"])))
    assert (status, answer["size"]) == (200, ANYONE_BYTES)


def test_signed_in_sender_of_a_large_body_is_let_through(probe: Probe) -> None:
    status, text, most = chunked_answer(probe, ALICE, 40 * MIB)
    assert (status, json.loads(text)["size"]) == (200, 40 * MIB)
    assert most > 30 * MIB, "it was spooled somewhere else"


def test_program_with_a_key_may_send_a_large_body(probe: Probe) -> None:
    status, text, _ = chunked_answer(probe, "Authorization: alice\r\n", 4 * MIB)
    assert (status, json.loads(text)["size"]) == (200, 4 * MIB)


def test_signed_in_sender_has_a_limit_as_well(probe: Probe) -> None:
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        put(connection, f"Content-Length: {SIGNED_IN_BYTES + 1}\r\n{ALICE}")
        assert raw_http.read_head(reader)[0] == 413
    status, _, most = chunked_answer(probe, ALICE, SIGNED_IN_BYTES + 16 * MIB)
    assert status == 413
    assert most <= SIGNED_IN_BYTES


def test_body_that_the_disk_does_not_take_is_answered(probe: Probe) -> None:
    """A limit on the size of files stands for a full disk."""
    resource.prlimit(probe.process.pid, resource.RLIMIT_FSIZE, (2 * MIB, 2 * MIB))
    status, text, most = chunked_answer(probe, ALICE, 8 * MIB)
    assert (status, text) == (507, b"The server has no room for the request's body.\n")
    assert most <= 2 * MIB
    assert probe.spooled_bytes() == 0
    status, text, _ = chunked_answer(probe, ALICE, 1 * MIB)
    assert (status, json.loads(text)["size"]) == (200, 1 * MIB)


def test_connection_goes_on_after_a_large_body(probe: Probe) -> None:
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        for size in (3 * MIB, 10, 2 * MIB):
            put(connection, f"Content-Length: {size}\r\n{ALICE}")
            connection.sendall(bytes(size))
            status, headers = raw_http.read_head(reader)
            answer = json.loads(reader.read(int(headers["content-length"])))
            assert (status, answer["size"]) == (200, size)
