import hashlib
import socket
import struct
import time

import pytest
from websockets.sync.client import connect

from tests.serve import raw_http
from tests.serve.conftest import Probe
from tests.serve.probe_app import CHUNK, expected_sha256

pytestmark = pytest.mark.slow

CHUNKS_OF_200_MB = 200 * 1000 * 1000 // len(CHUNK) + 1


def test_unread_download_stays_out_of_memory_and_arrives_whole(probe: Probe) -> None:
    before = probe.memory_mb()
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        connection.sendall(raw_http.request(f"/stream/{CHUNKS_OF_200_MB}"))
        highest = before
        for _ in range(20):
            time.sleep(0.1)
            highest = max(highest, probe.memory_mb())
        assert highest - before < 64

        status, _ = raw_http.read_head(reader)
        digest = hashlib.sha256()
        while chunk := raw_http.read_chunk(reader):
            digest.update(chunk)
    assert status == 200
    assert digest.hexdigest() == expected_sha256(CHUNKS_OF_200_MB)
    assert probe.memory_mb() - before < 64


def test_other_clients_are_served_while_one_does_not_read(probe: Probe) -> None:
    with raw_http.open_socket(probe.port) as connection:
        connection.sendall(raw_http.request(f"/stream/{CHUNKS_OF_200_MB}"))
        time.sleep(0.3)
        assert raw_http.get(probe.port, "/echo/here") == (200, b"here")


def test_unread_websocket_stays_out_of_memory_and_arrives_whole(probe: Probe) -> None:
    before = probe.memory_mb()
    url = f"ws://127.0.0.1:{probe.port}/flood/{CHUNKS_OF_200_MB}"
    # The client library reads ahead by at most `max_queue` frames, then leaves the socket alone.
    with connect(url, max_queue=1, compression=None) as client:
        highest = before
        for _ in range(20):
            time.sleep(0.1)
            highest = max(highest, probe.memory_mb())
        assert highest - before < 64
        sent_unread = raw_http.state(probe.port)["frames_sent"]
        assert sent_unread < CHUNKS_OF_200_MB / 4

        assert sum(frame == CHUNK for frame in client) == CHUNKS_OF_200_MB


def test_leaving_in_the_middle_of_a_download_closes_its_source(probe: Probe) -> None:
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        connection.sendall(raw_http.request("/stream/1000000"))
        raw_http.read_head(reader)
        raw_http.read_chunk(reader)
        time.sleep(0.3)
        assert raw_http.state(probe.port) | {"opened": 1, "closed": 0} == raw_http.state(
            probe.port
        )
    assert raw_http.wait_until(lambda: raw_http.state(probe.port)["closed"] == 1)


def test_reset_of_a_client_that_never_read_closes_its_source(probe: Probe) -> None:
    connection = raw_http.open_socket(probe.port)
    connection.sendall(raw_http.request("/stream/1000000"))
    time.sleep(0.5)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    assert raw_http.wait_until(lambda: raw_http.state(probe.port)["closed"] == 1)


def test_consumer_that_does_not_take_its_frames_is_not_sent_more(probe: Probe) -> None:
    before = probe.memory_mb()
    frame = b"x" * 1_000_000
    with connect(f"ws://127.0.0.1:{probe.port}/deaf/3", compression=None) as client:
        start = time.monotonic()
        for _ in range(300):
            client.send(frame)
        # The last frames were only taken once the consumer woke up.
        assert time.monotonic() - start > 1.5
    assert probe.memory_mb() - before < 150
    assert raw_http.wait_until(lambda: raw_http.state(probe.port)["frames_seen"] == 300)


def test_upload_is_given_to_the_application_piece_by_piece(probe: Probe) -> None:
    before = probe.memory_mb()
    body = b"0123456789abcdef" * 65536
    total = 100 * len(body)
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        extra = f"Content-Length: {total}\r\nCookie: who=alice\r\n"
        head = raw_http.request("/upload", method="PUT", extra=extra)
        connection.sendall(head)
        for _ in range(100):
            connection.sendall(body)
        status, headers = raw_http.read_head(reader)
        answer = reader.read(int(headers["content-length"])).decode()
    assert status == 200
    assert hashlib.sha256(body * 100).hexdigest() in answer
    assert f'"size": {total}' in answer
    assert probe.memory_mb() - before < 64
