"""HTTP over a plain socket, so that a test decides when it reads."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any, BinaryIO


def open_socket(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def request(path: str, *, method: str = "GET", extra: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{extra}\r\n".encode()


def read_head(reader: BinaryIO) -> tuple[int, dict[str, str]]:
    status = int(reader.readline().split()[1])
    headers = {}
    while (line := reader.readline().strip()) != b"":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return status, headers


def read_chunk(reader: BinaryIO) -> bytes:
    """One chunk of a chunked body, b"" for the last. Raises: EOFError when the body is cut."""
    line = reader.readline()
    if not line:
        raise EOFError
    data = reader.read(int(line, 16))
    reader.readline()
    return data


def get(port: int, path: str) -> tuple[int, bytes]:
    with open_socket(port) as connection, connection.makefile("rb") as reader:
        connection.sendall(request(path, extra="Connection: close\r\n"))
        status, headers = read_head(reader)
        return status, reader.read(int(headers.get("content-length", "-1")))


def state(port: int) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(get(port, "/state")[1])
    return answer


def wait_until(condition: Callable[[], bool], *, within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
