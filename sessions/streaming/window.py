"""How far a server may run ahead of a client: bytes sent and not yet acknowledged."""

import asyncio
from collections import deque

from sessions.errors import InvalidInputError

WINDOW_BYTES = 1024 * 1024


class SendWindow:
    """Counts what is in flight. One task sends, another acknowledges."""

    def __init__(self, limit_bytes: int = WINDOW_BYTES) -> None:
        self._limit = limit_bytes
        self._flying: deque[tuple[int, int]] = deque()
        self._changed = asyncio.Event()
        self._sent_seq = 0
        self.in_flight_bytes = 0

    def has_room(self, size: int) -> bool:
        """Whether `size` more bytes may go out. Anything may when nothing is in flight, so that
        a frame larger than the whole window is sent alone instead of never."""
        return not self._flying or self.in_flight_bytes + size <= self._limit

    def sent(self, seq: int, size: int) -> None:
        """`size` bytes went out, the last of them belonging to event `seq`."""
        self._flying.append((seq, size))
        self._sent_seq = seq
        self.in_flight_bytes += size

    def acknowledge(self, seq: int) -> None:
        """Raises: InvalidInputError for an event that was never sent."""
        if seq > self._sent_seq:
            raise InvalidInputError("Acknowledged an event that was not sent.")
        while self._flying and self._flying[0][0] <= seq:
            self.in_flight_bytes -= self._flying.popleft()[1]
        self._changed.set()

    async def wait_for_change(self, timeout_s: float) -> None:
        """Until the next acknowledgement or the end of the time."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
