import pytest
from websockets.sync.client import connect

from tests.serve import raw_http
from tests.serve.conftest import Probe

pytestmark = pytest.mark.slow


def test_many_requests_use_one_connection(probe: Probe) -> None:
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        for number in range(300):
            connection.sendall(raw_http.request(f"/echo/{number}"))
            status, headers = raw_http.read_head(reader)
            assert status == 200
            assert reader.read(int(headers["content-length"])) == str(number).encode()


def test_streams_and_plain_answers_alternate_on_one_connection(probe: Probe) -> None:
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        for _ in range(5):
            connection.sendall(raw_http.request("/stream/40"))
            raw_http.read_head(reader)
            size = 0
            while chunk := raw_http.read_chunk(reader):
                size += len(chunk)
            assert size == 40 * 65536
            connection.sendall(raw_http.request("/echo/between"))
            _, headers = raw_http.read_head(reader)
            assert reader.read(int(headers["content-length"])) == b"between"


def test_pipelined_requests_are_answered_in_order(probe: Probe) -> None:
    with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
        connection.sendall(
            b"".join(
                [raw_http.request("/stream/30")]
                + [raw_http.request(f"/echo/{number}") for number in range(20)]
            )
        )
        raw_http.read_head(reader)
        while raw_http.read_chunk(reader):
            pass
        for number in range(20):
            _, headers = raw_http.read_head(reader)
            assert reader.read(int(headers["content-length"])) == str(number).encode()


def test_broken_source_cuts_the_body_and_the_server_goes_on(probe: Probe) -> None:
    for _ in range(2):
        with raw_http.open_socket(probe.port) as connection, connection.makefile("rb") as reader:
            connection.sendall(raw_http.request("/break"))
            raw_http.read_head(reader)
            assert raw_http.read_chunk(reader) == b"half"
            with pytest.raises((EOFError, ConnectionResetError)):
                raw_http.read_chunk(reader)
    assert raw_http.get(probe.port, "/fail")[0] == 500
    assert raw_http.get(probe.port, "/echo/alive") == (200, b"alive")


def test_websocket_echoes_and_closes_cleanly(probe: Probe) -> None:
    with connect(f"ws://127.0.0.1:{probe.port}/echo") as client:
        for number in range(100):
            client.send(str(number))
            assert client.recv(timeout=20) == str(number)


def test_websocket_close_waits_for_what_was_sent(probe: Probe) -> None:
    with connect(f"ws://127.0.0.1:{probe.port}/flood/100", max_queue=1) as client:
        assert sum(1 for _ in client) == 100
        assert client.close_code == 1000
