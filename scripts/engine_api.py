"""The few questions set-up asks a Docker engine, before any package is installed."""

import http.client
import json
import os
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

DEFAULT_SOCKET = Path("/var/run/docker.sock")
TIMEOUT_S = 3.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:  # type: ignore[explicit-override]  # its decorator is a package
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def docker_host() -> str:
    return os.environ.get("DOCKER_HOST", "").strip() or f"unix://{DEFAULT_SOCKET}"


def answers() -> bool:
    try:
        return _get("/_ping")[0] == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def image_id(name: str) -> str:
    """Empty when the engine has no such image, or does not answer."""
    try:
        status, body = _get(f"/images/{quote(name)}/json")
        found: dict[str, Any] = json.loads(body) if status == http.client.OK else {}
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    return str(found.get("Id", ""))


def _get(path: str) -> tuple[int, bytes]:
    connection = _connection(docker_host())
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return _UnixConnection(f"/{(parts.netloc + parts.path).lstrip('/')}")
    if not parts.hostname or not parts.port:
        raise OSError(f"DOCKER_HOST={url} is neither unix:///path nor tcp://host:port")
    folder = os.environ.get("DOCKER_CERT_PATH", "")
    verify = os.environ.get("DOCKER_TLS_VERIFY", "") != ""
    if not folder and not verify and parts.scheme != "https":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    certificates = Path(folder or Path.home() / ".docker")
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(str(certificates / "cert.pem"), str(certificates / "key.pem"))
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(
        parts.hostname, parts.port, timeout=TIMEOUT_S, context=context
    )
