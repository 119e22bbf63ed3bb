"""An engine is used, or started by whoever may, or the exact command to run is said."""

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from scripts import engine, engine_api, host
from scripts.engine import ensure_engine
from scripts.host import SetupError

pytestmark = pytest.mark.slow

FAKE_DAEMON = """#!{python}
import http.server, socketserver, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"OK")
    def address_string(self):
        return "local"
print("daemon started", flush=True)
server = socketserver.UnixStreamServer({socket!r}, Answer)
server.timeout = 10
for _ in range({answers}):
    server.handle_request()
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Debian without systemd whose root we are: no engine, no program but ours on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(engine_api, "DEFAULT_SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(engine, "DAEMON_LOG", tmp_path / "dockerd.log")
    monkeypatch.setattr(engine, "START_TIMEOUT_S", 5.0)
    monkeypatch.setattr(engine, "_path", lambda: str(programs))
    monkeypatch.setattr(engine, "is_root", lambda: True)
    monkeypatch.setattr(engine, "is_debian_like", lambda: True)
    monkeypatch.setattr(engine, "runs_systemd", lambda: False)
    monkeypatch.setattr(host, "VAR", tmp_path / "var")
    return tmp_path


def install_program(folder: Path, name: str, text: str) -> None:
    program = folder / "bin" / name
    program.write_text(text)
    program.chmod(stat.S_IRWXU)


def fake_daemon(folder: Path, *, answers: int = 3) -> str:
    path = str(folder / "docker.sock")
    return FAKE_DAEMON.format(python=sys.executable, socket=path, answers=answers)


def test_an_engine_that_is_there_is_started_by_root(machine: Path) -> None:
    install_program(machine, "dockerd", fake_daemon(machine))
    ensure_engine()
    assert "daemon started" in (machine / "dockerd.log").read_text()


def test_a_missing_engine_is_installed_from_the_distribution(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []

    def install(*packages: str) -> None:
        installed.extend(packages)
        install_program(machine, "dockerd", fake_daemon(machine))

    monkeypatch.setattr(engine, "apt_install", install)
    ensure_engine()
    assert "docker.io" in installed


def test_an_engine_that_does_not_start_ends_with_its_log(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "START_TIMEOUT_S", 1.0)
    install_program(machine, "dockerd", "#!/bin/sh\necho no cgroups here\n")
    with pytest.raises(SetupError, match="no cgroups here"):
        ensure_engine()


def test_an_ordinary_user_is_told_what_to_run(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "is_root", lambda: False)
    with pytest.raises(SetupError, match=r"sudo apt-get .*install -y docker\.io"):
        ensure_engine()
    install_program(machine, "dockerd", "#!/bin/sh\n")
    with pytest.raises(SetupError, match=r"Run: sudo (systemctl|service)"):
        ensure_engine()


def test_another_distribution_is_left_to_its_owner(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "is_debian_like", lambda: False)
    with pytest.raises(SetupError, match="Install Docker Engine"):
        ensure_engine()


def test_an_engine_named_by_docker_host_is_never_replaced(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_program(machine, "dockerd", fake_daemon(machine))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{machine}/elsewhere.sock")
    with pytest.raises(SetupError, match="DOCKER_HOST"):
        ensure_engine()
    assert not (machine / "dockerd.log").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
def test_a_socket_of_others_names_the_group(machine: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(machine / "docker.sock"))
        (machine / "docker.sock").chmod(0)
        with pytest.raises(SetupError, match="usermod -aG docker"):
            ensure_engine()


@pytest.mark.parametrize("address", ["tcp://host", "nonsense", "ssh://host"])
def test_an_address_that_cannot_work_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    assert not engine_api.answers()
    assert engine_api.image_id("berth/sandbox") == ""
