"""What a script does with the endpoints for uploads in pieces."""

import hashlib
import http.client
import json
import random
import uuid
from typing import Any

from tests.serve.berth_client import BerthClient

MIB = 1024 * 1024
PIECE_BYTES = 8 * MIB


class Program:
    """For one session."""

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
