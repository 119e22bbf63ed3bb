"""What people type, on its way into a shell, counted as the guest counts it."""

import asyncio
from collections.abc import Callable

from sessions.errors import InvalidInputError, SandboxUnavailableError
from sessions.sandbox.base import Exec

WINDOW_BYTES = 256 * 1024
"""How far a page may type ahead of what the guest has been sent."""
KEPT_BYTES = 512 * 1024
"""Sent, and perhaps lost with the channel: more than a guest lets be on its way."""
_PIECE_BYTES = 64 * 1024


class ShellInput:
    """Offsets count all that was ever typed into the shell, whoever typed it."""

    def __init__(self, on_sent: Callable[[], None]) -> None:
        self._on_sent = on_sent
        self._kept = bytearray()
        self._kept_from = 0
        self._exec: Exec | None = None
        self._moved = asyncio.Event()
        self.sent = 0
        self.end = 0

    @property
    def limit(self) -> int:
        return self.sent + WINDOW_BYTES

    def accept(self, offset: int, data: bytes) -> None:
        """Take in what was typed; what was taken in before is left out.

        Raises: InvalidInputError for input that is out of place or beyond `limit`.
        """
        if offset > self.end or offset + len(data) > self.limit:
            raise InvalidInputError("Input out of place.")
        fresh = data[self.end - offset :]
        self._kept += fresh
        if self._exec is not None and self.sent == self.end:
            # A key reaches the shell without waiting for another task's turn.
            self.sent += self._exec.write_stdin_now(fresh)
            self._forget()
        self.end += len(fresh)
        if self.sent < self.end:
            self._moved.set()

    def attached(self, exec_: Exec, received: int) -> None:
        """The guest got everything before `received`; the rest goes to it by `exec_`."""
        self._exec = exec_
        if not self._kept_from <= received <= self.end:
            # Typed in an earlier life of this server, which is all that can be known of it.
            self._kept.clear()
            self._kept_from = self.end = received
        self.sent = received
        self._moved.set()

    def detached(self) -> None:
        self._exec = None

    async def pump(self) -> None:
        """Send for ever, one piece after the other."""
        while True:
            exec_ = self._exec
            if exec_ is None or self.sent == self.end:
                self._moved.clear()
                await self._moved.wait()
                continue
            at = self.sent - self._kept_from
            piece = bytes(self._kept[at : at + _PIECE_BYTES])
            try:
                await exec_.write_stdin(piece)
            except SandboxUnavailableError:
                if self._exec is exec_:
                    self._exec = None
                continue
            if self._exec is exec_:
                self.sent += len(piece)
                self._forget()
            self._on_sent()

    def _forget(self) -> None:
        surplus = self.sent - self._kept_from - KEPT_BYTES
        if surplus > KEPT_BYTES:
            del self._kept[:surplus]
            self._kept_from += surplus
