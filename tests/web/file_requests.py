"""Requests to the file endpoints of one session, as a browser makes them."""

import json
from typing import Any

from django.test import AsyncClient

from sessions.models import Session
from sessions.sandbox.base import Sandbox
from sessions.workspace.paths import format_path
from tests.sandbox.running import run, shell


class FileRequests:
    def __init__(self, client: AsyncClient, session: Session) -> None:
        self.client = client
        self.session = session

    def url(self, verb: str, path: str | None = None, **options: object) -> str:
        query = "" if path is None else f"path={format_path(path)}"
        query += "".join(f"&{key}={value}" for key, value in options.items())
        return f"/sessions/{self.session.id}/files/{verb}/?{query}"

    async def get(
        self, verb: str, path: str | None = None, *, headers: Any = None, **options: object
    ) -> Any:
        return await self.client.get(
            self.url(verb, path, **options),
            headers={"accept": "application/json"} | (headers or {}),
        )

    async def head(self, verb: str, path: str) -> Any:
        return await self.client.head(self.url(verb, path))

    async def put(self, path: str, data: bytes, **options: object) -> Any:
        return await self.client.put(
            self.url("upload", path, **options),
            data,
            content_type="application/octet-stream",
            headers={"accept": "application/json"},
        )

    async def post(self, verb: str, body: object) -> Any:
        return await self.client.post(
            self.url(verb),
            json.dumps(body),
            content_type="application/json",
            headers={"accept": "application/json"},
        )


async def body_of(response: Any) -> bytes:
    if response.streaming:
        return b"".join([piece async for piece in response])
    return bytes(response.content)


def error_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def in_workspace(sandbox: Sandbox, script: str) -> None:
    """Run shell as the agent would. The workspace is the working directory."""
    outcome = await run(sandbox, shell(script))
    assert outcome.ending.exit_code == 0, outcome.stderr
