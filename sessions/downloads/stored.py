"""Files that are kept on the host, piece by piece."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from sessions.downloads.ranges import Span
from sessions.downloads.responses import content_disposition, span_response
from sessions.sandbox.limits import MIB

PIECE_BYTES = 1 * MIB


def stored_response(
    request: HttpRequest, path: Path, *, size: int, filename: str, content_type: str
) -> HttpResponseBase:
    """All of it, to be saved. Raises, while it is sent: OSError."""
    return span_response(
        request,
        stored_pieces(path),
        span=Span(0, size, size, is_partial=False),
        etag=f'"{path.name}"',
        content_type=content_type,
        disposition=content_disposition("attachment", filename),
    )


async def stored_pieces(path: Path) -> AsyncGenerator[bytes, None]:
    """Raises: OSError."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece
    finally:
        await asyncio.to_thread(file.close)
