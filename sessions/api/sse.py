"""Streams of server-sent events."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from sessions.downloads.responses import PiecesResponse

CONTENT_TYPE = "text/event-stream; charset=utf-8"
KEEP_ALIVE_S = 15.0
"""Clients take silence for a broken connection; a comment is none."""
KEEP_ALIVE = b": keep-alive\n\n"


def frame(event: Mapping[str, Any]) -> bytes:
    # JSON leaves no line break unescaped.
    data = json.dumps(event, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {data}\n\n".encode()


def event_stream(frames: AsyncGenerator[bytes, None]) -> PiecesResponse:
    answer = PiecesResponse(frames, CONTENT_TYPE)
    answer["Cache-Control"] = "no-cache"
    answer["X-Accel-Buffering"] = "no"
    return answer


async def begun(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same with its first piece made: only a generator that has begun has an end, and one whose
    reader goes away before the first byte would never begin."""
    return all_of(await anext(pieces), pieces)


async def all_of(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece
