"""A Docker engine of the run's own, so that killing it disturbs nobody else.

containerd is a process apart, as Debian's packages run it: `dockerd` started on its own would take
its containerd along, and a zombie of that keeps the next `dockerd` waiting.
"""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from typing_extensions import override

IMAGE = "berth/sandbox-slim"
START_TIMEOUT_S = 40.0
_CONTAINERD_CONFIG = """\
version = 2
root = "{folder}/containerd-root"
state = "{folder}/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/containerd.sock"
"""


class EngineFailedError(Exception):
    """The engine did not start; the text says why."""


def docker(address: str, *argv: str, timeout_s: float = 120) -> str:
    """Output of the docker client. Raises: subprocess.SubprocessError."""
    result = subprocess.run(
        ["docker", "--host", address, *argv],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=True,
    )
    return result.stdout


class Engine:
    """The engine that is there: faults that kill an engine are not for it."""

    is_own = False

    def __init__(self, address: str) -> None:
        self.address = address

    @property
    def socket(self) -> Path:
        return Path(self.address.removeprefix("unix://"))

    def docker(self, *argv: str, timeout_s: float = 120) -> str:
        return docker(self.address, *argv, timeout_s=timeout_s)

    def start(self) -> None:
        """Raises: EngineFailedError."""

    def stop(self) -> None:
        """Idempotent; nothing of it is left."""


class OwnEngine(Engine):
    is_own = True

    def __init__(self, folder: Path) -> None:
        super().__init__(f"unix://{folder}/engine.sock")
        self._folder = folder
        self._containerd: psutil.Popen | None = None
        self._dockerd: psutil.Popen | None = None

    @override
    def start(self) -> None:
        config = self._folder / "containerd.toml"
        config.write_text(_CONTAINERD_CONFIG.format(folder=self._folder))
        self.start_containerd()
        self.start_dockerd()
        self._load_image()

    def start_containerd(self) -> None:
        config = self._folder / "containerd.toml"
        self._containerd = self._spawn("containerd", "--config", str(config))
        self._wait_until((self._folder / "containerd.sock").exists, "containerd")

    def start_dockerd(self) -> None:
        # What a killed dockerd leaves would keep the next one from starting: its pid may live on
        # as somebody else's.
        (self._folder / "docker.pid").unlink(missing_ok=True)
        self._dockerd = self._spawn(
            "dockerd",
            f"--host={self.address}",
            f"--data-root={self._folder}/data",
            f"--exec-root={self._folder}/exec",
            f"--pidfile={self._folder}/docker.pid",
            f"--containerd={self._folder}/containerd.sock",
            "--live-restore",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
        )
        self._wait_until(self._answers, "dockerd")

    def kill_dockerd(self) -> None:
        _kill(self._dockerd)

    def kill_containerd(self) -> None:
        _kill(self._containerd)

    def _spawn(self, *argv: str) -> psutil.Popen:
        with (self._folder / f"{argv[0]}.log").open("ab") as log:
            return psutil.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        try:
            self.docker("version")
        except subprocess.SubprocessError:
            return False
        return True

    def _wait_until(self, is_there, name: str) -> None:
        process = self._dockerd if name == "dockerd" else self._containerd
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_there():
            if time.monotonic() > deadline or process is None or process.poll() is not None:
                log = (self._folder / f"{name}.log").read_text(errors="replace")
                raise EngineFailedError(f"{name} did not start:\n{log[-1500:]}")
            time.sleep(0.1)

    def _load_image(self) -> None:
        """Copied from the engine that is there."""
        save = subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE)
        try:
            loaded = subprocess.run(
                ["docker", "--host", self.address, "load"],
                stdin=save.stdout,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
        finally:
            assert save.stdout is not None
            save.stdout.close()
            save_code = save.wait(10)
        if save_code or loaded.returncode:
            raise EngineFailedError(f"{IMAGE} was not copied: {loaded.stderr.strip()}")

    @override
    def stop(self) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            if ids := self.docker("ps", "-aq").split():
                self.docker("rm", "-f", *ids)
        if self._dockerd is not None and self._dockerd.poll() is None:
            self._dockerd.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired, psutil.TimeoutExpired):
                self._dockerd.wait(20)
        _kill(self._dockerd)
        _kill(self._containerd)
        self._kill_shims()
        self._unmount_all()
        shutil.rmtree(self._folder / "data", ignore_errors=True)

    def _kill_shims(self) -> None:
        """Shims, and with them containers, outlive both daemons by design."""
        for process in psutil.process_iter(["cmdline"]):
            if f"{self._folder}/containerd.sock" in " ".join(process.info["cmdline"] or ()):
                for one in [*process.children(recursive=True), process]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        one.kill()

    def _unmount_all(self) -> None:
        for target in reversed(mounts_below(self._folder)):
            subprocess.run(["umount", "--lazy", target], check=False)


def mounts_below(folder: Path) -> Sequence[str]:
    """In the order in which they were made."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    targets = [line.split(" ")[1] for line in lines]
    return [target for target in targets if target.startswith(f"{folder}/")]


def _kill(process: psutil.Popen | None) -> None:
    if process is not None and process.poll() is None:
        process.kill()
        process.wait(20)
