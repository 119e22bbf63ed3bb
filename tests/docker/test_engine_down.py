"""A missing or hanging engine is said so within seconds, and never hangs its caller."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessions.errors import EngineUnavailableError
from sessions.sandbox.base import ContainerSpec
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.docker_client import PROBE_TIMEOUT_S
from sessions.sandbox.limits import Limits

pytestmark = pytest.mark.slow


@pytest.fixture
def silent_engine(tmp_path: Path) -> Iterator[str]:
    """A socket that takes connections and never answers."""
    path = tmp_path / "silent.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(16)
    yield f"unix://{path}"
    listener.close()


@pytest.fixture
def garbled_engine(tmp_path: Path) -> Iterator[str]:
    """A socket that answers, but not as an engine does."""
    path = tmp_path / "garbled.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(16)

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(b"SSH-2.0-something else\r\n")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield f"unix://{path}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


async def every_verb_fails(docker_host: str) -> float:
    """Returns the seconds the slowest took."""
    backend = DockerBackend(installation="test", docker_host=docker_host)
    spec = ContainerSpec("s", "berth/sandbox-slim", "berth-ws-s", Limits())
    slowest = 0.0
    for verb in (
        lambda: backend.create(spec),
        lambda: backend.open("c"),
        lambda: backend.inspect("c"),
        lambda: backend.remove("c"),
        lambda: backend.remove_volume("v"),
        backend.containers,
        backend.volumes,
        backend.images,
        backend.engine,
    ):
        started = time.monotonic()
        with pytest.raises(EngineUnavailableError):
            await verb()
        slowest = max(slowest, time.monotonic() - started)
    await backend.close()
    return slowest


async def test_no_socket_is_no_engine(tmp_path: Path) -> None:
    assert await every_verb_fails(f"unix://{tmp_path}/nothing.sock") < PROBE_TIMEOUT_S


async def test_a_garbled_answer_is_no_engine(garbled_engine: str) -> None:
    assert await every_verb_fails(garbled_engine) < PROBE_TIMEOUT_S


async def test_a_silent_engine_is_given_up_quickly(silent_engine: str) -> None:
    backend = DockerBackend(installation="test", docker_host=silent_engine)
    started = time.monotonic()
    with pytest.raises(EngineUnavailableError):
        await backend.containers()
    assert time.monotonic() - started < PROBE_TIMEOUT_S + 10
    await backend.close()


async def test_the_loop_goes_on_while_an_engine_is_silent(silent_engine: str) -> None:
    backend = DockerBackend(installation="test", docker_host=silent_engine)
    waiting = asyncio.create_task(backend.containers())
    longest = 0.0
    while not waiting.done():
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - before)
    assert longest < PROBE_TIMEOUT_S - 1
    assert isinstance(waiting.exception(), EngineUnavailableError)
    await backend.close()


@pytest.mark.parametrize("address", ["ssh://host", "tcp://host", "fd://", "nonsense"])
async def test_an_address_that_cannot_work_is_said_so(address: str) -> None:
    backend = DockerBackend(installation="test", docker_host=address)
    with pytest.raises(EngineUnavailableError, match="DOCKER_HOST"):
        await backend.containers()
    await backend.close()
