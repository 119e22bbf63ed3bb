"""A real HTTP server on loopback that answers with recorded streams, one answer per request."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parent / "recordings"


@dataclass(frozen=True)
class Answer:
    """`events` are streamed as server-sent events; otherwise `body` is sent as JSON."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    events: Sequence[str] | None = None
    is_cut: bool = False
    """Break the connection behind the last event instead of ending the body."""
    is_stalled: bool = False
    """Keep the connection open behind the last event until the client leaves."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


def stream(events: Iterable[str | dict[str, Any]], **options: Any) -> Answer:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return Answer(events=texts, **options)


def recorded(name: str) -> list[list[str]]:
    """The events of a recording, one list for each response in it."""
    responses: list[list[str]] = []
    for line in (RECORDINGS / f"{name}.chunks.txt").read_text().splitlines():
        if '"response.created"' in line or not responses:
            responses.append([])
        responses[-1].append(line)
    return responses


def error(
    status: int, message: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Answer:
    fields = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return Answer(status, headers or {}, {"error": {**fields, **more}})


@dataclass
class WireServer:
    answers: list[Answer]
    requests: list[Request] = field(default_factory=list)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a stalled answer was sent as far as it goes."""
    left_early: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client closed the connection in the middle of a stalled answer."""
    address: str = ""

    @property
    def base_url(self) -> str:
        return f"{self.address}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                assert self.answers, f"one request too many: {request.path}"
                answer = self.answers.pop(0)
                await _write(writer, answer)
                if answer.is_stalled:
                    self.stalled.set()
                    await reader.read()
                    self.left_early.set()
                if answer.is_cut or answer.is_stalled:
                    break
        except ConnectionError:
            self.left_early.set()
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ")
    return Request(method, path, headers, json.loads(body) if body else None)


async def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    body = b"" if answer.body is None else json.dumps(answer.body).encode()
    kind = "application/json" if answer.events is None else "text/event-stream"
    headers = {"Content-Type": kind, **answer.headers}
    if answer.events is None:
        headers["Content-Length"] = str(len(body))
    else:
        headers["Transfer-Encoding"] = "chunked"
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {answer.status} Answer\r\n{head}\r\n".encode() + body)
    for event in answer.events or ():
        piece = f"data: {event}\n\n".encode()
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
    if answer.events is not None and not (answer.is_cut or answer.is_stalled):
        writer.write(b"0\r\n\r\n")
    await writer.drain()


@asynccontextmanager
async def wire_server(*answers: Answer) -> AsyncIterator[WireServer]:
    """Answers in their order. Every answer must be asked for, or the test fails."""
    wire = WireServer(list(answers))
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    wire.address = f"http://{host}:{port}"
    try:
        yield wire
        assert not wire.answers, f"{len(wire.answers)} answers were not asked for"
    finally:
        server.close()
        await server.wait_closed()
