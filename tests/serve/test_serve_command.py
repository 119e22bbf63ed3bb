import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from sessions.runtime.server import CLOSE_RESTARTING
from tests.serve.berth_client import BerthClient
from tests.serve.raw_http import get
from tests.serve.server_process import ROOT, ServerProcess, berth_environment, manage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    var_dir = tmp_path_factory.mktemp("var")
    environment = berth_environment(
        var_dir,
        f"test-{uuid.uuid4().hex[:8]}",
        # No engine is needed to serve pages.
        DOCKER_HOST="unix:///nonexistent/docker.sock",
    )
    assert manage(environment, "migrate", "--verbosity", "0").returncode == 0
    return environment


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[ServerProcess]:
    server = ServerProcess(environment).start()
    yield server
    server.kill()


def test_link_signs_in_and_pages_have_hashed_static_files(server: ServerProcess) -> None:
    assert server.link.startswith(f"{server.url}/sign-in/link/")
    with urllib.request.urlopen(server.link, timeout=10) as page:
        text = page.read().decode()
    styles = [part.split('"')[0] for part in text.split('href="') if ".css" in part.split('"')[0]]
    assert styles
    for style in styles:
        name = style.rsplit("/", 1)[1]
        assert len(name.split(".")) == 3, f"{name} has no hash"
        with urllib.request.urlopen(server.url + style, timeout=10) as answer:
            assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_quickly_and_quietly(server: ServerProcess, number: signal.Signals) -> None:
    quiet = server.log
    start = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - start < 9, "not even as long as Daphne waits for its applications"
    after = server.log.removeprefix(quiet)
    assert "Traceback" not in after
    assert "Exception" not in after


def test_open_page_is_told_to_come_back(server: ServerProcess) -> None:
    client = BerthClient(server.url, server.link)
    quiet = server.log
    headers = {"Cookie": client.cookies, "Origin": server.url}
    address = server.url.replace("http", "ws", 1) + "/ws/sessions/"
    with connect(address, additional_headers=headers) as page:
        assert server.stop(signal.SIGINT) == 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                page.recv(timeout=20)
    assert page.close_code == CLOSE_RESTARTING
    assert "Traceback" not in server.log.removeprefix(quiet)


def test_open_response_does_not_hold_the_end(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET /sign-in/ HTTP/1.1\r\nHost: localhost\r\n")
        assert server.stop(signal.SIGINT) == 0


def test_second_signal_ends_it_at_once(server: ServerProcess) -> None:
    server.process.send_signal(signal.SIGINT)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(15) in {0, 128 + signal.SIGINT, 128 + signal.SIGTERM}


def test_port_in_use_is_one_sentence(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = manage(environment, "serve", "--port", str(port))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"Port {port} on 127.0.0.1 is in use" in result.stderr


def test_programs_are_led_to_the_port_that_was_chosen(server: ServerProcess) -> None:
    made = manage(server.environment, "create_api_key", "admin", "tests")
    key = made.stdout.strip().splitlines()[-1].split()[-1]
    request = urllib.request.Request(
        f"{server.url}/v1/chat/completions",
        data=b'{"messages": [{"role": "user", "content": "Hello"}]}',
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["x-berth-live-url"].startswith(f"{server.url}/sessions/")


def test_missing_migrations_are_refused_with_what_to_do(tmp_path: Path) -> None:
    result = manage(berth_environment(tmp_path, "test-none"), "serve", "--port", "0")
    assert result.returncode == 1
    assert "manage.py migrate" in result.stderr
    assert "Traceback" not in result.stderr


def test_static_files_are_collected_once(server: ServerProcess) -> None:
    collected = Path(server.environment["BERTH_VAR_DIR"], "static", ".collected")
    before = collected.stat().st_mtime_ns
    server.stop()
    again = ServerProcess(server.environment).start()
    again.stop()
    assert collected.stat().st_mtime_ns == before


def test_second_start_does_little_beyond_importing(server: ServerProcess) -> None:
    """Processor time beside that of a command which only imports: either alone says how fast the
    machine is, and how busy."""
    server.stop()
    before = os.times()
    assert manage(server.environment, "check").returncode == 0
    after = os.times()
    floor = sum(after[2:4]) - sum(before[2:4])
    again = ServerProcess(server.environment).start()
    used = again.process.cpu_times()
    again.stop()
    assert used.user + used.system < 2 * floor


def test_requests_at_the_same_time_are_answered(server: ServerProcess) -> None:
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(get(server.port, "/sign-in/")[0])

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 20


def test_agents_run_without_pages_and_end_when_they_are_told(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "runagents"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        assert any("Agents are running." in line for line in lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
