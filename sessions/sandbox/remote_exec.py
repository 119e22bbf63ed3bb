"""The host's end of one command."""

import asyncio
import json
from collections import deque
from typing import Any

from typing_extensions import override

from sessions.errors import (
    BerthError,
    CommandForgottenError,
    InvalidInputError,
    SandboxError,
    SandboxUnavailableError,
)
from sessions.events.types import Ending, Stream
from sessions.sandbox.base import Exec, ExecEnded, ExecOutput, ExecRequest, TerminalSize
from sessions.sandbox.chunk import Chunk
from sessions.sandbox.connection import Connection, Route, error_of, is_figure, json_object
from sessions.sandbox.guest import wire
from sessions.sandbox.input_credit import InputCredit
from sessions.sandbox.setup import AGENT

WINDOW_BYTES = 1024 * 1024
"""Most output of one stream that waits here to be iterated."""
MAX_ORDERED_ITEMS = 2048
"""With more pieces waiting, a stream's bytes are joined past those of the other."""
_INPUT_BYTES = 64 * 1024
_NAMES: dict[int, Stream] = {wire.STDOUT: "stdout", wire.STDERR: "stderr", wire.PTY: "pty"}
_NUMBERS = {name: number for number, name in _NAMES.items()}
_ENDING_KINDS = frozenset(("exit", "signal", "timeout", "stopped", "oom", "disk_full"))
_SIGNAL_LENGTH = 16
_ERRORS: dict[str, type[BerthError]] = {
    "superseded": SandboxUnavailableError,
    "forgotten": CommandForgottenError,
    "bad_request": InvalidInputError,
}


class _Window:
    """How far one output stream has come, and how far it may."""

    def __init__(self, offset: int) -> None:
        self.received = offset
        self.consumed = offset
        self.limit = offset + WINDOW_BYTES
        self.is_waiting = False
        """Credit comes when the connection's commands may print again."""


class RemoteExec(Exec, Route):
    """One iteration only; its items come in the order in which they arrived."""

    def __init__(self, connection: Connection, request: ExecRequest) -> None:
        self.exec_id = request.exec_id
        # A shell at its prompt is no work; what runs in it is asked of the guest.
        self.is_background = request.pty is not None
        self._connection = connection
        self._is_terminal = request.pty is not None
        self._windows = _windows(request)
        self._items: deque[Chunk | ExecEnded] = deque()
        self._last_chunks: dict[int, Chunk] = {}
        """Of each stream the latest that still waits."""
        self._is_over = False
        self._is_announced = False
        """The guest told where output begins, which it may do once and before any."""
        self._error: BerthError | None = None
        self._arrived = asyncio.Event()
        self._input_offset: int | None = None
        self._credit = InputCredit()
        self._input_moved = asyncio.Event()
        self._input_lock = asyncio.Lock()
        self._ident = connection.open_route(self)
        self._start(request)

    def _start(self, request: ExecRequest) -> None:
        body: dict[str, Any] = {
            "exec_id": request.exec_id,
            "argv": request.argv,
            "cwd": request.cwd,
            "env": dict(request.env),
            "timeout_s": request.timeout_s,
            "stdin": request.stdin,
            "stdout_offset": request.stdout_offset,
            "stderr_offset": request.stderr_offset,
            "pty": request.pty and _size(request.pty),
            "pty_offset": request.pty_offset,
            "keep_log": request.keep_log,
            "window": WINDOW_BYTES,
        }
        if request.user != AGENT:
            body["user"] = {"uid": request.user.uid, "gid": request.user.gid}
        payload = json.dumps(body).encode()
        if len(payload) > wire.MAX_PAYLOAD:
            self._connection.close_route(self._ident)
            raise InvalidInputError("The command is too long.")
        self._connection.send(wire.frame(wire.START, self._ident, payload))

    # Iterating

    @override
    def __aiter__(self) -> "RemoteExec":
        return self

    async def __anext__(self) -> ExecOutput | ExecEnded:
        while not self._items:
            if self._error is not None:
                raise type(self._error)(self._error.message)
            if self._is_over:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        item = self._items.popleft()
        if isinstance(item, ExecEnded):
            return item
        if self._last_chunks.get(item.stream) is item:
            del self._last_chunks[item.stream]
        self._consumed(item.stream, len(item))
        return ExecOutput(_NAMES[item.stream], item.offset, item.data())

    def _consumed(self, number: int, size: int) -> None:
        window = self._windows[number]
        window.consumed += size
        self._connection.output.take(size)
        if window.is_waiting or window.limit - window.consumed > WINDOW_BYTES // 2:
            return
        wait_s = self._connection.output.wait_s()
        if wait_s:
            window.is_waiting = True
            asyncio.get_running_loop().call_later(wait_s, self._grant, number)
        else:
            self._grant(number)

    def _grant(self, number: int) -> None:
        window = self._windows[number]
        window.is_waiting = False
        if self._is_over:
            return
        window.limit = window.consumed + WINDOW_BYTES
        credit = wire.position_frame(wire.CREDIT, self._ident, number, window.limit)
        self._connection.send(credit)

    # Receiving

    @override
    def receive(self, kind: int, payload: bytes) -> None:
        if kind == wire.OUTPUT:
            self._receive_output(payload)
        elif kind == wire.ENDED:
            self._items.append(self._parse_end(json_object(payload)))
            self._is_over = True
            self._connection.close_route(self._ident)
        elif kind == wire.ERROR:
            code, message = error_of(payload)
            self._end_with(_ERRORS.get(code, SandboxError)(f"The command failed: {message}."))
            self._connection.close_route(self._ident)
        elif kind == wire.STARTED:
            fields = json_object(payload)
            self._receive_offsets(fields["offsets"])
            self._receive_position(fields["stdin"])
        elif kind == wire.CREDIT:
            self._credit.granted(payload, self._input_offset or 0)
        else:
            raise wire.WireError("frame of the wrong type")
        self._arrived.set()
        self._input_moved.set()

    def _receive_output(self, payload: bytes) -> None:
        stream, offset = wire.parse_position(payload)
        data = payload[wire.POSITION.size :]
        window = self._windows.get(stream)
        if window is None or offset != window.received or not data:
            raise wire.WireError("output out of place")
        window.received += len(data)
        if window.received > window.limit:
            raise wire.WireError("output beyond its credit")
        self._is_announced = True  # too late for it now
        last = self._last_chunks.get(stream)
        is_crowded = len(self._items) > MAX_ORDERED_ITEMS
        is_next = bool(self._items) and last is self._items[-1]
        if last is not None and (is_next or is_crowded) and last.take(data):
            return
        self._last_chunks[stream] = Chunk(stream, offset, data)
        self._items.append(self._last_chunks[stream])

    def _parse_end(self, fields: dict[str, Any]) -> ExecEnded:
        sizes, log_path = fields["sizes"], fields["log_path"]
        if not isinstance(sizes, dict):
            raise wire.WireError("no sizes")
        for number, window in self._windows.items():
            if sizes.get(str(number)) != window.received:
                raise wire.WireError("the end does not fit the output")
        if not isinstance(log_path, str):
            raise wire.WireError("no log path")
        return ExecEnded(
            ending=parse_ending(fields),
            duration_ms=_count(fields["duration_ms"]),
            stdout_bytes=self._received(wire.STDOUT),
            stderr_bytes=self._received(wire.STDERR),
            log_path=log_path,
            pty_bytes=self._received(wire.PTY),
        )

    def _received(self, number: int) -> int:
        window = self._windows.get(number)
        return window.received if window is not None else 0

    def _receive_offsets(self, offsets: Any) -> None:
        """Output begins here, later than asked for where the guest keeps no more."""
        if not isinstance(offsets, dict):
            raise wire.WireError("no offsets")
        if self._is_announced:
            raise wire.WireError("output begins a second time")
        self._is_announced = True
        for number, window in self._windows.items():
            start = _count(offsets.get(str(number), window.received))
            if start < window.received or window.received != window.consumed:
                raise wire.WireError("output begins out of place")
            window.limit += start - window.received
            window.received = window.consumed = start

    def _receive_position(self, position: Any) -> None:
        if position is not None and self._input_offset is None:
            self._input_offset = _count(position["offset"])
            self._credit.raise_to(_count(position["limit"]))

    @override
    def lost(self) -> None:
        if not self._is_over:
            self._end_with(self._connection.failure())

    def _end_with(self, error: BerthError) -> None:
        self._is_over = True
        self._error = error
        self._arrived.set()
        self._input_moved.set()

    # Acting on it

    @override
    async def ack(self, stream: Stream, offset: int) -> None:
        frame = wire.position_frame(wire.ACK, self._ident, _NUMBERS[stream], offset)
        await self._connection.send_soon(frame)

    @override
    async def stop(self) -> None:
        await self._connection.send_soon(wire.frame(wire.KILL, self._ident))

    @override
    async def detach(self) -> None:
        self._connection.close_route(self._ident)
        self._end_with(SandboxUnavailableError("The command is followed no longer."))
        await self._connection.send_soon(wire.frame(wire.CANCEL, self._ident))

    @override
    async def write_stdin(self, data: bytes) -> None:
        async with self._input_lock:
            while data:
                room = await self._input_room()
                if room == 0:
                    return  # it ended, or no longer reads
                piece, data = data[:room], data[room:]
                await self._connection.send_soon(self._input_frame(piece))

    @override
    def write_stdin_now(self, data: bytes) -> int:
        is_free = not (self._is_over or self._input_lock.locked())
        if not is_free or self._input_offset is None or not self._connection.has_room:
            return 0
        piece = data[: min(self._credit.limit - self._input_offset, _INPUT_BYTES)]
        if piece:
            self._connection.send(self._input_frame(piece))
        return len(piece)

    def _input_frame(self, piece: bytes) -> bytes:
        offset = self._input_offset or 0
        self._input_offset = offset + len(piece)
        head = wire.data_head(wire.INPUT, self._ident, wire.STDIN, offset, len(piece))
        return head + piece

    @override
    async def stdin_offset(self) -> int:
        while self._input_offset is None and not self._is_over:
            self._input_moved.clear()
            await self._input_moved.wait()
        if self._error is not None:
            raise type(self._error)(self._error.message)
        return self._input_offset or 0

    @override
    async def resize(self, size: TerminalSize) -> None:
        if not self._is_terminal:
            raise InvalidInputError("The command has no terminal.")
        if not self._is_over:
            payload = json.dumps(_size(size)).encode()
            await self._connection.send_soon(wire.frame(wire.RESIZE, self._ident, payload))

    async def _input_room(self) -> int:
        """How much may be written now; waits for some. 0: the command is over.

        Raises: SandboxError, its subclasses, as iterating does.
        """
        while True:
            if self._error is not None:
                raise type(self._error)(self._error.message)
            if self._is_over:
                return 0
            if self._input_offset is not None and self._credit.limit > self._input_offset:
                return min(self._credit.limit - self._input_offset, _INPUT_BYTES)
            self._input_moved.clear()
            await self._input_moved.wait()

    @override
    async def close_stdin(self) -> None:
        async with self._input_lock:
            if not self._is_over:
                await self._connection.send_soon(wire.frame(wire.INPUT_END, self._ident))


def _windows(request: ExecRequest) -> dict[int, _Window]:
    if request.pty is not None:
        return {wire.PTY: _Window(request.pty_offset)}
    return {
        wire.STDOUT: _Window(request.stdout_offset),
        wire.STDERR: _Window(request.stderr_offset),
    }


def _size(size: TerminalSize) -> dict[str, int]:
    return {"columns": size.columns, "rows": size.rows}


def parse_ending(fields: dict[str, Any]) -> Ending:
    """Raises: wire.WireError for an ending that there is not."""
    kind = fields["kind"]
    if not isinstance(kind, str) or kind not in _ENDING_KINDS:
        raise wire.WireError("unknown ending")
    signal = fields.get("signal")
    if signal is not None and not (isinstance(signal, str) and len(signal) <= _SIGNAL_LENGTH):
        raise wire.WireError("bad signal")
    timeout_s = fields.get("timeout_s")
    if timeout_s is not None and not is_figure(timeout_s):
        raise wire.WireError("bad timeout")
    return Ending(
        kind=kind,  # type: ignore[arg-type]  # one of _ENDING_KINDS
        exit_code=_count(fields["exit_code"]) if kind == "exit" else None,
        signal=signal,
        limit_bytes=_optional_count(fields.get("limit_bytes")),
        peak_bytes=_optional_count(fields.get("peak_bytes")),
        used_bytes=_optional_count(fields.get("used_bytes")),
        timeout_s=timeout_s,
        oom_kills=_optional_count(fields.get("oom_kills")),
    )


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= wire.MAX_OFFSET:
        raise wire.WireError("bad number")
    return int(value)


def _optional_count(value: Any) -> int | None:
    return None if value is None else _count(value)
