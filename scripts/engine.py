"""A Docker engine that answers: the one that is there, or Debian's own, installed and started."""

import os
import shutil
import time
from pathlib import Path

from scripts import engine_api
from scripts.host import (
    SetupError,
    apt_install,
    is_debian_like,
    is_root,
    run_logged,
    runs_systemd,
    say,
)

DAEMON_LOG = Path("/var/log/dockerd.log")
START_TIMEOUT_S = 90.0
INSTALL_COMMAND = "sudo apt-get update && sudo apt-get install -y docker.io"
START_COMMAND = "sudo systemctl start docker" if runs_systemd() else "sudo service docker start"


def ensure_engine() -> None:
    """Raises: SetupError with the exact command where it may not help itself."""
    if engine_api.answers():
        return
    _stop_if_not_ours()
    if shutil.which("dockerd", path=_path()) is None:
        say("no Docker engine is installed; installing Debian's docker.io")
        apt_install(*_packages())
    if not _answers_within(2.0):
        _start()
    say("the Docker engine answers")


def _stop_if_not_ours() -> None:
    """Leave alone what another address, another user or another system is responsible for."""
    if os.environ.get("DOCKER_HOST", "").strip():
        raise SetupError(
            f"The Docker engine at DOCKER_HOST={engine_api.docker_host()} does not answer. "
            "Start it, or run again without the variable: env -u DOCKER_HOST make run"
        )
    socket = engine_api.DEFAULT_SOCKET
    if socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
        raise SetupError(
            f"This user may not use {socket}. Run: sudo usermod -aG docker $USER && newgrp docker"
        )
    if not is_debian_like():
        raise SetupError(
            "No Docker engine answers. Install Docker Engine for this system, start it, "
            "check it with: docker version"
        )
    if not is_root():
        is_installed = shutil.which("dockerd", path=_path()) is not None
        command = START_COMMAND if is_installed else f"{INSTALL_COMMAND} && {START_COMMAND}"
        raise SetupError(f"No Docker engine answers. Run: {command}")


def _packages() -> list[str]:
    """The engine needs AppArmor's parser exactly where the kernel enforces AppArmor."""
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    needs_apparmor = enabled.is_file() and enabled.read_text().strip() == "Y"
    return ["docker.io", "ca-certificates", *(["apparmor"] if needs_apparmor else [])]


def _start() -> None:
    if runs_systemd():
        run_logged(["systemctl", "enable", "--now", "docker"], log=DAEMON_LOG)
    else:
        say(f"starting dockerd in the background; its log is {DAEMON_LOG}")
        daemon = shutil.which("dockerd", path=_path()) or "dockerd"
        _start_in_background(daemon)
    if not _answers_within(START_TIMEOUT_S):
        tail = DAEMON_LOG.read_text(errors="replace").splitlines()[-15:]
        where = "journalctl -u docker" if runs_systemd() else f"{DAEMON_LOG}"
        raise SetupError("\n".join([f"The Docker engine did not start; see {where}:", *tail]))


def _start_in_background(daemon: str) -> None:
    """In a session of its own: Ctrl-C and the end of this program do not reach it."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.posix_spawn(
        daemon,
        [daemon],
        {**os.environ, "PATH": _path()},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, DAEMON_LOG, append, 0o640),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _answers_within(seconds: float) -> bool:
    started = time.monotonic()
    said_at = started
    while not engine_api.answers():
        now = time.monotonic()
        if now - started > seconds:
            return False
        if now - said_at > 5.0:
            said_at = now
            say(f"  waiting for the Docker engine ({now - started:.0f} s)")
        time.sleep(0.2)
    return True


def _path() -> str:
    """Daemons are often not on a person's PATH."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin"
