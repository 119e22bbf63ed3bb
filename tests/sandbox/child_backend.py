"""A sandbox backend for tests: each "container" is the guest as a plain child process.

No isolation at all, only the same guest, the same protocol and the same answers as in a
container. The workspace is a temporary folder; `/workspace` as a working directory leads there.
"""

import array
import asyncio
import os
import shutil
import socket
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from sessions.errors import ContainerLostError, SandboxUnavailableError
from sessions.sandbox import guest
from sessions.sandbox.base import (
    ContainerInfo,
    ContainerSpec,
    DuplexStream,
    EngineInfo,
    ImageInfo,
    SandboxBackend,
)
from sessions.sandbox.limits import Limits

GUEST = Path(guest.__file__).parent / "__main__.py"
WORKSPACE_UID = 1000
READ_BYTES = 256 * 1024
SHARED_MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 2 << 30


def fast_folder() -> str | None:
    """Where many files are made quickly; None for the ordinary temporary folder."""
    if os.access(SHARED_MEMORY, os.W_OK) and shutil.disk_usage(SHARED_MEMORY).free > ENOUGH_BYTES:
        return str(SHARED_MEMORY)
    return None


class SocketStream(DuplexStream):
    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._loop = asyncio.get_running_loop()

    @override
    async def read(self) -> bytes:
        try:
            return await self._loop.sock_recv(self._socket, READ_BYTES)
        except OSError as error:
            raise SandboxUnavailableError(f"The guest is gone: {error}.") from error

    @override
    async def write(self, data: bytes) -> None:
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            raise SandboxUnavailableError(f"The guest is gone: {error}.") from error

    @override
    async def close(self) -> None:
        self._socket.close()


class ChildGuest:
    """One guest process with its folders."""

    def __init__(self, spec: ContainerSpec, workspace: Path) -> None:
        self.spec = spec
        self.workspace = workspace
        self.run_dir = Path(tempfile.mkdtemp(prefix="berth-guest-"))
        self.run_dir.chmod(0o755)
        self.process: asyncio.subprocess.Process | None = None

    @property
    def socket_path(self) -> Path:
        return self.run_dir / "guest.sock"

    @property
    def skills(self) -> Path:
        return self.run_dir / "skills"

    def command(self, verb: str, *options: str) -> list[str]:
        words = [sys.executable, "-I", "-S", str(GUEST), verb, "--socket", str(self.socket_path)]
        return [*words, *options]

    async def start(self) -> None:
        # What commands leave there goes with the guest, as in a container.
        scratch = self.run_dir / "tmp"
        scratch.mkdir()
        scratch.chmod(0o1777)
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(scratch)}
        options = (
            *("--workspace", str(self.workspace), "--run-dir", str(self.run_dir)),
            # The rest of the machine is not this session's.
            *("--scratch", "", "--disk-limit", str(self.spec.limits.disk_bytes)),
            *("--skills", str(self.skills)),
        )
        self.process = await asyncio.create_subprocess_exec(
            *self.command("serve", *options), env=environment, stdin=asyncio.subprocess.DEVNULL
        )
        while not self.socket_path.exists() and self.is_running:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.005)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def connect(self) -> DuplexStream:
        """Hand one end of a socket pair to the guest, as `guest connect` does with its own."""
        ours, theirs = socket.socketpair()
        with socket.socket(socket.AF_UNIX) as door, theirs:
            door.connect(str(self.socket_path))
            fds = array.array("i", [theirs.fileno(), theirs.fileno()])
            door.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            return VisitorStream(ours, door.dup())

    async def stop(self) -> None:
        if self.process is not None and self.is_running:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 5)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        shutil.rmtree(self.run_dir, ignore_errors=True)


class VisitorStream(SocketStream):
    """Keeps the visit open as long as the stream."""

    def __init__(self, sock: socket.socket, door: socket.socket) -> None:
        super().__init__(sock)
        self._door = door

    @override
    async def close(self) -> None:
        await super().close()
        self._door.close()


class ChildBackend(SandboxBackend):
    def __init__(self) -> None:
        self._guests: dict[str, ChildGuest] = {}
        self._volumes: dict[str, tuple[str, Path]] = {}

    @override
    async def create(self, spec: ContainerSpec) -> str:
        child = ChildGuest(spec, self._volume(spec))
        self._guests[spec.name] = child
        await child.start()
        return spec.name

    @override
    async def set_limits(self, container_id: str, limits: Limits) -> None:
        child = self.guest(container_id)
        child.spec = replace(child.spec, limits=limits)

    def _volume(self, spec: ContainerSpec) -> Path:
        if spec.workspace_volume not in self._volumes:
            folder = Path(tempfile.mkdtemp(prefix="berth-workspace-", dir=fast_folder()))
            folder.chmod(0o755)
            if os.geteuid() == 0:
                os.chown(folder, WORKSPACE_UID, WORKSPACE_UID)
            self._volumes[spec.workspace_volume] = (spec.session_id, folder)
        return self._volumes[spec.workspace_volume][1]

    def guest(self, container_id: str) -> ChildGuest:
        """Raises: ContainerLostError."""
        try:
            return self._guests[container_id]
        except KeyError:
            raise ContainerLostError("There is no such container.") from None

    @override
    async def open(self, container_id: str) -> DuplexStream:
        child = self.guest(container_id)
        if not child.is_running:
            raise ContainerLostError("The container is not running.")
        try:
            return child.connect()
        except OSError as error:
            raise ContainerLostError(f"The container does not answer: {error}.") from error

    @override
    async def inspect(self, container_id: str) -> ContainerInfo:
        child = self.guest(container_id)
        code = child.process.returncode if child.process is not None else None
        return ContainerInfo(
            container_id, child.spec.session_id, is_running=child.is_running, exit_code=code
        )

    @override
    async def remove(self, container_id: str) -> None:
        child = self._guests.pop(container_id, None)
        if child is not None:
            await child.stop()

    @override
    async def remove_volume(self, name: str) -> None:
        _session_id, folder = self._volumes.pop(name, ("", None))
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    @override
    async def containers(self) -> list[ContainerInfo]:
        return [await self.inspect(container_id) for container_id in self._guests]

    @override
    async def volumes(self) -> dict[str, str]:
        return {name: session_id for name, (session_id, _folder) in self._volumes.items()}

    @override
    async def images(self) -> list[ImageInfo]:
        return [ImageInfo("child", 0)]

    @override
    async def image_id(self, name: str) -> str:
        return f"{name}@1"

    @override
    async def engine(self) -> EngineInfo:
        return EngineInfo("child", "0", "none", "none", "none", (), ())

    @override
    async def close(self) -> None:
        """Ends all guests and removes all workspaces."""
        for container_id in list(self._guests):
            await self.remove(container_id)
        for name in list(self._volumes):
            await self.remove_volume(name)
