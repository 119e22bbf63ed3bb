"""A server killed in the middle of an upload: nothing acknowledged is lost, the file is whole."""

import hashlib
import http.client
import json
import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import docker, remove_all_of
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ServerProcess, berth_environment, manage

pytestmark = [pytest.mark.slow, pytest.mark.docker]

MIB = 1024 * 1024
PIECE_BYTES = 8 * MIB
SIZE = 300 * MIB + 4321
MAX_GROWTH_MB = 48
"""Beyond the pieces on their way: four copies of one would be more than that."""


@pytest.fixture
def server(tmp_path) -> Iterator[ServerProcess]:
    installation = f"test-{uuid.uuid4().hex[:8]}"
    environment = berth_environment(tmp_path / "var", installation, BERTH_SCRIPTED_DELAY_S="0")
    assert manage(environment, "migrate", "--verbosity", "0").returncode == 0
    server = ServerProcess(environment).start()
    try:
        yield server
    finally:
        server.kill()
        remove_all_of(installation)


class Program:
    """What a script does with the endpoints."""

    def __init__(self, client: BerthClient, session: uuid.UUID) -> None:
        self.client = client
        self.url = f"/sessions/{session}/files/uploads/"

    def connection(self) -> http.client.HTTPConnection:
        address = self.client.url.removeprefix("http://")
        return http.client.HTTPConnection(address, timeout=120)

    def headers(self, **more: str) -> dict[str, str]:
        return {
            "Cookie": self.client.cookies,
            "X-CSRFToken": self.client.csrf,
            "Origin": self.client.url,
            "Accept": "application/json",
            "Content-Type": "application/octet-stream",
        } | {name.replace("_", "-"): value for name, value in more.items()}

    def ask(self, method: str, path: str, body: Any = b"", **headers: str) -> Any:
        connection = self.connection()
        try:
            connection.request(method, self.url + path, body, self.headers(**headers))
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status < 300, (answer.status, data)
            return answer.headers, data
        finally:
            connection.close()

    def begin(self, size: int, sha256: str) -> str:
        body = json.dumps({"path": "big.bin", "size": size, "sha256": sha256})
        return str(json.loads(self.ask("POST", "", body)[1])["id"])

    def offset(self, upload: str) -> int:
        return int(self.ask("HEAD", f"{upload}/")[0]["Upload-Offset"])

    def send(self, upload: str, offset: int, piece: bytes) -> int:
        headers, _ = self.ask("PATCH", f"{upload}/", piece, Upload_Offset=str(offset))
        return int(headers["Upload-Offset"])

    def send_half(self, upload: str, offset: int, piece: bytes) -> http.client.HTTPConnection:
        connection = self.connection()
        connection.putrequest("PATCH", f"{self.url}{upload}/")
        length = {"Content-Length": str(len(piece))}
        for name, value in (self.headers(Upload_Offset=str(offset)) | length).items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(piece[: len(piece) // 2])
        return connection


def piece_at(offset: int, size: int) -> bytes:
    """The file's bytes: made anew each time, so that the test holds none of them."""
    return random.Random(offset).randbytes(min(PIECE_BYTES, size - offset))


def digest_of(size: int) -> str:
    digest = hashlib.sha256()
    for offset in range(0, size, PIECE_BYTES):
        digest.update(piece_at(offset, size))
    return digest.hexdigest()


def upload_with_a_kill(server: ServerProcess, size: int) -> tuple[str, str, float]:
    """Sends `size` bytes, the server killed half-way: digest, container, growth of the server."""
    program = Program(BerthClient(server.url, server.link), uuid.UUID(int=0))
    session = program.client.create_session("```bash\necho ready\n```")
    program = Program(program.client, session)
    digest = digest_of(size)
    upload = program.begin(size, digest)
    half = size // 2 // PIECE_BYTES * PIECE_BYTES
    offset = 0
    while offset < half:
        offset = program.send(upload, offset, piece_at(offset, size))
    cut = program.send_half(upload, offset, piece_at(offset, size))
    server.kill()
    cut.close()
    server.start()
    program.client.url = server.url
    assert program.offset(upload) == half
    before = peak = server.memory_mb()
    while offset < size:
        offset = program.send(upload, offset, piece_at(offset, size))
        peak = max(peak, server.memory_mb())
    program.ask("POST", f"{upload}/finish/")
    return digest, program.client.container(session), max(peak, server.memory_mb()) - before


def test_an_upload_outlives_its_server(server: ServerProcess) -> None:
    digest, container, growth_mb = upload_with_a_kill(server, SIZE)
    seen = docker("exec", container, "sha256sum", "/workspace/big.bin").split()[0]
    assert seen == digest
    assert growth_mb < MAX_GROWTH_MB
