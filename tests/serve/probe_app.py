"""A small ASGI application behind the real server class, started by the tests as a process.

    python -m tests.serve.probe_app SPOOL_DIR

prints its port. It answers without Django, so a test sees the server's own memory and behaviour.
"""

import asyncio
import gc
import hashlib
import json
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from sessions.runtime.body_limits import BodyLimits
from sessions.runtime.server import PacedServer

ANYONE_BYTES = 1024 * 1024
SIGNED_IN_BYTES = 128 * 1024 * 1024

CHUNK = bytes(range(256)) * 256
STATE = {"opened": 0, "closed": 0, "frames_sent": 0, "frames_seen": 0}


async def numbered_chunks(count: int) -> AsyncGenerator[bytes, None]:
    STATE["opened"] += 1
    try:
        for number in range(count):
            yield number.to_bytes(8, "big") + CHUNK[8:]
    finally:
        STATE["closed"] += 1


def expected_sha256(count: int) -> str:
    digest = hashlib.sha256()
    for number in range(count):
        digest.update(number.to_bytes(8, "big") + CHUNK[8:])
    return digest.hexdigest()


async def respond(send: Any, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def stream(send: Any, count: int) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    async with aclosing(numbered_chunks(count)) as chunks:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body"})


async def until_disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def download(receive: Any, send: Any, count: int) -> None:
    """Stream until the client has all or is gone, as Django does."""
    sending = asyncio.create_task(stream(send, count))
    gone = asyncio.create_task(until_disconnect(receive))
    await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
    for task in (sending, gone):
        task.cancel()
    await asyncio.gather(sending, gone, return_exceptions=True)


async def upload(receive: Any, send: Any) -> None:
    digest, size, largest = hashlib.sha256(), 0, 0
    while True:
        message = await receive()
        digest.update(message["body"])
        size += len(message["body"])
        largest = max(largest, len(message["body"]))
        if not message["more_body"]:
            break
    answer = {"sha256": digest.hexdigest(), "size": size, "largest": largest}
    await respond(send, json.dumps(answer).encode())


async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
    match scope["path"].strip("/").split("/"):
        case ["state"]:
            gc.collect()
            await respond(send, json.dumps(STATE).encode())
        case ["stream", count]:
            await download(receive, send, int(count))
        case ["upload"]:
            await upload(receive, send)
        case ["break"]:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise ValueError("the source broke")
        case ["fail"]:
            raise ValueError("nothing was sent yet")
        case ["echo", word]:
            await respond(send, word.encode())
        case _:
            await respond(send, b"", 404)


async def socket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    match scope["path"].strip("/").split("/"):
        case ["flood", count]:
            for _ in range(int(count)):
                await send({"type": "websocket.send", "bytes": CHUNK})
                STATE["frames_sent"] += 1
            await send({"type": "websocket.close"})
        case ["deaf", seconds]:
            await asyncio.sleep(float(seconds))
            while (await receive())["type"] == "websocket.receive":
                STATE["frames_seen"] += 1
        case _:
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await (http if scope["type"] == "http" else socket)(scope, receive, send)


async def is_signed_in(authorization: bytes, cookies: Mapping[bytes, bytes]) -> bool:
    await asyncio.sleep(0.05)
    if cookies.get(b"who") == b"broken":
        raise ValueError("the database is away")
    return b"alice" in (cookies.get(b"who"), authorization)


async def main(server: PacedServer) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    await server.aclose(grace_s=1)


if __name__ == "__main__":
    limits = BodyLimits(sys.argv[1], ANYONE_BYTES, SIGNED_IN_BYTES, is_signed_in)
    probe = PacedServer(application, body_limits=limits)
    print(probe.listen("127.0.0.1", 0), flush=True)  # noqa: T201
    probe.run(main(probe))
