"""Where the Docker engine listens, read from the environment the way the docker CLI does."""

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from typing_extensions import override

from sessions.errors import EngineUnavailableError
from sessions.sandbox.byte_pipe import BytePipe, SocketPipe, StreamPipe

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """A Unix socket (`socket_path`) or a host and port, with TLS when `certificates` is set."""

    socket_path: str = ""
    host: str = ""
    port: int = 0
    certificates: str = ""
    verify: bool = True

    @classmethod
    def from_environment(cls, docker_host: str = "") -> "EngineAddress":
        """Raises: EngineUnavailableError for an address Berth cannot use."""
        url = docker_host or os.environ.get("DOCKER_HOST", "").strip() or DEFAULT_SOCKET
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return cls(socket_path=f"/{(parts.netloc + parts.path).lstrip('/')}")
        if parts.scheme in {"tcp", "http", "https"} and parts.hostname and parts.port:
            wants_tls = os.environ.get("DOCKER_TLS_VERIFY", "") != ""
            folder = os.environ.get("DOCKER_CERT_PATH", "")
            if not folder and (wants_tls or parts.scheme == "https"):
                folder = str(Path.home() / ".docker")
            return cls(host=parts.hostname, port=parts.port, certificates=folder, verify=wants_tls)
        raise EngineUnavailableError(
            f"DOCKER_HOST={url!r} is not supported: use unix:///path or tcp://host:port. "
            "For an engine behind ssh, forward its socket with `ssh -L` and name the local one."
        )

    @override
    def __str__(self) -> str:
        return self.socket_path or f"{self.host}:{self.port}"

    def check(self) -> None:
        """Raises: OSError when nothing listens on the Unix socket.

        Looked at before the SDK does, which leaks the socket it could not connect.
        """
        if self.socket_path:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
                attempt.settimeout(CONNECT_TIMEOUT_S)
                attempt.connect(self.socket_path)

    async def connect(self) -> BytePipe:
        """A fresh connection. Raises: EngineUnavailableError."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if tls := self._tls():
                    streams = asyncio.open_connection(self.host, self.port, ssl=tls)
                    return StreamPipe(*await streams)
                return SocketPipe(await self._connected_socket())
        except (OSError, TimeoutError) as error:
            raise EngineUnavailableError(
                f"The Docker engine at {self} does not answer: {error}"
            ) from error

    async def _connected_socket(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        family: int = socket.AF_UNIX
        target: str | tuple[str | int, ...] = self.socket_path
        if not self.socket_path:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            family, _, _, _, target = found[0]
        connected = socket.socket(family, socket.SOCK_STREAM)
        try:
            connected.setblocking(False)
            await loop.sock_connect(connected, target)
        except BaseException:
            connected.close()
            raise
        return connected

    def _tls(self) -> ssl.SSLContext | None:
        if not self.certificates:
            return None
        folder = Path(self.certificates)
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(str(folder / "cert.pem"), str(folder / "key.pem"))
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
