"""A page without a browser: it follows a session, and comes back behind what it has seen."""

import asyncio
import contextlib
import json
import random
import uuid

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from tests.serve.berth_client import BerthClient, split_output

WAIT_S = (0.2, 1.0)
OPEN_TIMEOUT_S = 10.0


class Viewer:
    """`run` follows until it is cancelled. `seqs` is every event's number in the order it came."""

    def __init__(self, client: BerthClient, session_id: uuid.UUID) -> None:
        self.seqs: list[int] = []
        self.output: dict[tuple[str, str], bytearray] = {}
        """By call and stream, joined as it came."""
        self.misplaced: list[str] = []
        self.reconnects = -1
        self._client = client
        self._session_id = session_id
        self._socket: ClientConnection | None = None

    @property
    def last_seq(self) -> int:
        return self.seqs[-1] if self.seqs else 0

    def cut(self) -> None:
        """Drop the connection without a goodbye, in the middle of whatever it carries."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def run(self) -> None:
        while True:
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                async with asyncio.timeout(OPEN_TIMEOUT_S):
                    self._socket = await self._client.socket(self._session_id)
                self.reconnects += 1
                await self._follow(self._socket)
            await asyncio.sleep(random.uniform(*WAIT_S))

    async def _follow(self, socket: ClientConnection) -> None:
        try:
            await socket.send(json.dumps({"type": "follow", "after": self.last_seq}))
            async for frame in socket:
                before = len(self.seqs)
                self._take(frame)
                if len(self.seqs) > before:
                    await socket.send(json.dumps({"type": "ack", "seq": self.last_seq}))
        finally:
            socket.transport.abort()

    def _take(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            for piece in split_output(frame):
                self.seqs.append(piece.seq)
                seen = self.output.setdefault((piece.call_id, piece.stream), bytearray())
                if piece.offset != len(seen):
                    self.misplaced.append(f"{piece.call_id} {piece.stream} at {piece.offset}")
                seen += piece.data
            return
        message = json.loads(frame)
        if message["type"] == "events":
            self.seqs += [event["seq"] for event in message["events"]]
