"""Files that are kept on the host, piece by piece."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from sessions.sandbox.limits import MIB

PIECE_BYTES = 1 * MIB


async def stored_pieces(path: Path) -> AsyncGenerator[bytes, None]:
    """Raises: OSError."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece
    finally:
        await asyncio.to_thread(file.close)
