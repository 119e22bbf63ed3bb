"""A model endpoint that says what time it is: `python -m tests.bench.model_endpoint`.

It prints its address. Each stream of `/v1/chat/completions` has `PIECES` pieces `PAUSE_S` apart,
each holding the seconds since 1970 at which it was sent, then a usage and `[DONE]`.
"""

import asyncio
import json
import sys
import time
from typing import Any

PIECES = 100
PAUSE_S = 0.2
MODEL = "clock"


def _chunk(delta: dict[str, str], **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    fields = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return b"data: " + json.dumps({**fields, "choices": [choice], **more}).encode() + b"\n\n"


def _last() -> bytes:
    usage = {"prompt_tokens": 1, "completion_tokens": PIECES, "total_tokens": PIECES + 1}
    text = _chunk({}, usage=usage).replace(b'"finish_reason": null', b'"finish_reason": "stop"')
    return text + b"data: [DONE]\n\n"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    kind = b"text/event-stream" if b"/chat/completions" in head else b"application/json"
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: " + kind + b"\r\n\r\n")
    if kind == b"application/json":
        model = {"id": MODEL, "object": "model", "created": 1, "owned_by": "bench"}
        writer.write(json.dumps({"object": "list", "data": [model]}).encode())
    else:
        for _ in range(PIECES):
            writer.write(_chunk({"content": f"{time.time():.6f} "}))
            await writer.drain()
            await asyncio.sleep(PAUSE_S)
        writer.write(_last())
    await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}/v1\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
