"""The host's end of one byte stream to a guest: frames out, frames in, sorted by id.

Nothing the guest sends is believed before it is checked. The first broken rule closes the
connection, and whatever waited on it gets the reason.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from typing_extensions import TypeIs

from sessions.errors import ProtocolError, SandboxError, SandboxUnavailableError
from sessions.sandbox.base import DuplexStream
from sessions.sandbox.guest import wire
from sessions.sandbox.output_pace import output_bucket

logger = logging.getLogger(__name__)

HELLO_TIMEOUT_S = 10.0
PING_INTERVAL_S = 20.0
SILENCE_S = 90.0
"""A guest that says nothing for so long, not even an answer to a ping, is given up."""
_WRITE_BYTES = 256 * 1024
FRAMES_PER_TURN = 256
"""After so many frames others on the loop get their turn, however small the frames are."""
_BACKLOG_BYTES = 1024 * 1024


class Route(Protocol):
    """Where the frames of one id go. Both methods return at once and never call back in."""

    is_background: bool
    """Open without anybody doing anything, as a watch is: it keeps no sandbox in use."""

    def receive(self, kind: int, payload: bytes) -> None:
        """Raises: wire.WireError, ValueError, TypeError, KeyError for what breaks the protocol."""
        ...

    def lost(self) -> None:
        """The connection is closed; `Connection.failure` says why."""
        ...


class Connection:
    def __init__(self, stream: DuplexStream) -> None:
        self._stream = stream
        self._decoder = wire.FrameDecoder()
        self._routes: dict[int, Route] = {}
        self._last_ident = 0
        self.output = output_bucket()
        """What its commands may print; shared, so that many print no faster than one."""
        self._out: deque[bytes] = deque()
        self._backlog = 0
        self._has_work = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._heard_at = 0.0
        self._pings = 0
        """Sent and not yet answered."""
        self._error: SandboxError | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_open(self) -> bool:
        return self._error is None and bool(self._tasks)

    @property
    def is_in_use(self) -> bool:
        return any(not route.is_background for route in self._routes.values())

    def failure(self) -> SandboxError:
        """Why it is closed; a new exception each time, as each is raised in a task of its own."""
        if self._error is None:
            return SandboxUnavailableError("The connection to the sandbox is not open.")
        return type(self._error)(self._error.message)

    async def start(self) -> dict[str, Any]:
        """Greet the guest; returns what it says of itself.

        Raises: SandboxUnavailableError, ProtocolError. The stream is closed then.
        """
        greeting: dict[str, Any] = {}
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                greeting = await self._greet()
        except TimeoutError:
            self._error = SandboxUnavailableError("The sandbox does not answer.")
        except wire.WireError as error:
            self._error = broken(error)
        except SandboxError as error:
            self._error = error
        except asyncio.CancelledError:
            await self._stream.close()
            raise
        if self._error is not None:
            await self._stream.close()
            raise self.failure()
        self._heard_at = asyncio.get_running_loop().time()
        self._tasks = [
            asyncio.create_task(self._run(self._read_all), name="sandbox-reader"),
            asyncio.create_task(self._run(self._write_all), name="sandbox-writer"),
            asyncio.create_task(self._run(self._watch_over), name="sandbox-pinger"),
        ]
        return greeting

    async def _greet(self) -> dict[str, Any]:
        hello = json.dumps({"versions": [wire.VERSION]}).encode()
        await self._stream.write(wire.frame(wire.HELLO, 0, hello))
        while True:
            data = await self._stream.read()
            if not data:
                raise SandboxUnavailableError("The sandbox hung up.")
            for kind, ident, payload in self._decoder.feed(data):
                if kind == wire.ERROR and ident == 0:
                    raise ProtocolError(f"The sandbox refuses: {error_of(payload)[1]}")
                if kind != wire.HELLO or ident != 0:
                    raise wire.WireError("no greeting")
                greeting = json_object(payload)
                if greeting.get("version") != wire.VERSION:
                    raise wire.WireError("another version")
                return greeting

    # Routes

    def open_route(self, route: Route) -> int:
        """A new id. Raises: SandboxUnavailableError."""
        if not self.is_open:
            raise SandboxUnavailableError("The connection to the sandbox is not open.")
        self._last_ident += 1
        self._routes[self._last_ident] = route
        return self._last_ident

    def close_route(self, ident: int) -> None:
        """Frames that still come for it are dropped."""
        self._routes.pop(ident, None)

    # Sending

    def send(self, data: bytes) -> None:
        """Queue one frame. For frames whose number is bounded by what is received or open."""
        if self.is_open:
            self._out.append(data)
            self._backlog += len(data)
            self._has_work.set()
            if self._backlog > _BACKLOG_BYTES:
                self._has_room.clear()

    @property
    def has_room(self) -> bool:
        """Whether `send_soon` would not wait."""
        return self._has_room.is_set()

    async def send_soon(self, data: bytes) -> None:
        """Queue one frame, first waiting for room. Raises: SandboxUnavailableError."""
        await self._has_room.wait()
        if not self.is_open:
            raise SandboxUnavailableError("The connection to the sandbox was lost.")
        self.send(data)

    async def _write_all(self) -> None:
        while True:
            while self._out:
                batch: list[bytes] = []
                size = 0
                while self._out and size < _WRITE_BYTES:
                    batch.append(self._out.popleft())
                    size += len(batch[-1])
                await self._stream.write(batch[0] if len(batch) == 1 else b"".join(batch))
                self._backlog -= size
                if self._backlog <= _BACKLOG_BYTES:
                    self._has_room.set()
            self._has_work.clear()
            await self._has_work.wait()

    # Receiving

    async def _read_all(self) -> None:
        loop = asyncio.get_running_loop()
        frames = 0
        while data := await self._stream.read():
            self._heard_at = loop.time()
            for kind, ident, payload in self._decoder.feed(data):
                self._receive(kind, ident, payload)
                frames += 1
                if frames % FRAMES_PER_TURN == 0:
                    await asyncio.sleep(0)
        raise SandboxUnavailableError("The connection to the sandbox was lost.")

    def _receive(self, kind: int, ident: int, payload: bytes) -> None:
        if kind == wire.PONG and ident == 0:
            self._receive_pong()
            return
        if kind == wire.ERROR and ident == 0:
            raise ProtocolError(f"The sandbox refuses: {error_of(payload)[1]}")
        if not 0 < ident <= self._last_ident:
            raise wire.WireError("no such id")
        route = self._routes.get(ident)
        if route is not None:
            route.receive(kind, payload)

    def _receive_pong(self) -> None:
        if not self._pings:
            raise wire.WireError("an answer to no ping")
        self._pings -= 1

    async def _watch_over(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() - self._heard_at < SILENCE_S:
            await asyncio.sleep(PING_INTERVAL_S)
            self._pings += 1
            self.send(wire.frame(wire.PING, 0))
        raise SandboxUnavailableError("The sandbox no longer answers.")

    # The end

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (ProtocolError, SandboxUnavailableError) as error:
            self.fail(error)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            # wire.WireError, or a payload that is not what the protocol says.
            self.fail(broken(error))
        except OSError as error:
            self.fail(SandboxUnavailableError(f"The connection to the sandbox was lost: {error}"))

    def fail(self, error: SandboxError) -> None:
        """Close it because of `error`, which all who wait on it get. Idempotent."""
        if self._error is not None:
            return
        self._error = error
        if isinstance(error, ProtocolError):
            logger.warning("A guest broke the protocol: %s", error.message)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._out.clear()
        self._has_room.set()
        routes, self._routes = self._routes, {}
        for route in routes.values():
            route.lost()

    async def close(self) -> None:
        """Idempotent. Commands in the sandbox go on."""
        self.fail(SandboxUnavailableError("The connection to the sandbox was closed."))
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._stream.close()


def broken(error: Exception) -> ProtocolError:
    return ProtocolError(f"The sandbox broke the protocol: {error}.")


def json_object(payload: bytes) -> dict[str, Any]:
    """Raises: wire.WireError."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        raise wire.WireError("not JSON") from None
    if not isinstance(value, dict):
        raise wire.WireError("not a JSON object")
    return value


def is_figure(value: object) -> TypeIs[float]:
    """A number that is none of the guest's jokes: not NaN, not true, not of 400 digits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return -wire.MAX_OFFSET <= value <= wire.MAX_OFFSET


def error_of(payload: bytes) -> tuple[str, str]:
    """Code and message of an ERROR frame; the message is safe to show. Raises: wire.WireError."""
    fields = json_object(payload)
    code, message = fields.get("code"), fields.get("message")
    if not isinstance(code, str) or not isinstance(message, str):
        raise wire.WireError("not an error")
    return code[:64], "".join(c if c.isprintable() else "\ufffd" for c in message[:500])
