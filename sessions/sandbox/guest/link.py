"""The guest's end of one connection to a host."""

from __future__ import annotations

import os

from sessions.sandbox.guest import compact_json, wire
from sessions.sandbox.guest.loop import READ, WRITE
from sessions.sandbox.guest.pipe import enlarge
from sessions.sandbox.guest.source import CHUNK, RefusedError
from sessions.sandbox.guest.start_request import terminal_size
from sessions.sandbox.guest.token_bucket import TokenBucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.serve import Guest
    from sessions.sandbox.guest.source import Source

_READ_BYTES = 256 << 10
_BATCH_BYTES = 4 * CHUNK
"""Gathered for one write, one frame of each stream in turn."""
_BACKLOG_BYTES = 1 << 20
"""With this much unsent, nothing more is read: a host that does not listen is not heard."""
_PIPE_BYTES = 256 << 10
"""What the engine passes on is taken from a pipe: a larger one is emptied in fewer turns."""
_CRUMBS = 64
_CRUMBS_PER_S = 500
"""A write wakes the engine, its shim and the host, however small it is: programs that print byte by
byte would keep them busy. Past a burst, what they print within two milliseconds goes together."""
_HELLO_S = 10.0
_SILENCE_S = 45.0
"""A host pings every 20 s. One that says nothing between two looks is gone, and whoever carried its
bytes did not say so: an engine that was killed leaves pipes that never end."""
_MAX_PING = 64


class Link:
    """Owns `in_fd` and `out_fd`. `is_open` turns false once, for good."""

    def __init__(self, guest: Guest, in_fd: int, out_fd: int) -> None:
        self._guest = guest
        self._in_fd = in_fd
        self._out_fd = out_fd
        self._decoder = wire.FrameDecoder()
        self._sources: dict[int, Source] = {}
        self._ready: dict[int, Source] = {}
        """Sources that may have something to send, in the order of their turns."""
        self._out: list[bytes | memoryview] = []
        self._backlog = 0
        self._is_full = False
        self._crumbs = TokenBucket(burst=_CRUMBS, per_s=_CRUMBS_PER_S)
        self._late: dict[int, Source] = {}
        """Sources whose crumbs wait for the next turn."""
        self._is_crumb_turn = False
        self._is_greeted = False
        self._is_heard = False
        self._last_ident = 0
        self.is_open = True
        os.set_blocking(in_fd, False)
        os.set_blocking(out_fd, False)
        enlarge(out_fd, _PIPE_BYTES)
        guest.loop.watch(in_fd, READ, self._on_readable)
        guest.loop.call_later(_HELLO_S, self._hello_is_due)
        self._silence = guest.loop.call_later(_SILENCE_S, self._look_for_silence)

    # Sending

    def send(self, data: bytes) -> None:
        self._out.append(data)
        self._backlog += len(data)
        self._pump()

    def refuse(self, ident: int, code: str, message: str) -> None:
        body = compact_json.encode({"code": code, "message": message})
        self.send(wire.frame(wire.ERROR, ident, body))

    def wake(self, source: Source) -> None:
        self._ready[source.ident] = source
        self._pump()

    def drop(self, source: Source) -> None:
        """Nothing more comes or goes under its id."""
        self._sources.pop(source.ident, None)
        self._ready.pop(source.ident, None)

    def may_send_crumb(self, source: Source) -> bool:
        """Whether a little output may be sent alone; if not, `source` is woken when it may."""
        if self._is_crumb_turn:
            return True
        wait_s = self._crumbs.wait_s()
        if not wait_s:
            self._crumbs.take(1)
            return True
        if not self._late:
            self._guest.loop.call_later(wait_s, self._crumb_turn)
        self._late[source.ident] = source
        return False

    def _crumb_turn(self) -> None:
        late, self._late = self._late, {}
        for ident, source in late.items():
            if ident in self._sources:
                self._ready[ident] = source
        self._is_crumb_turn = True
        try:
            self._pump()
        finally:
            self._is_crumb_turn = False

    def _pump(self) -> None:
        if self._is_full or not self.is_open:
            return
        while self._fill():
            try:
                self._written(os.writev(self._out_fd, self._out[:256]))
            except BlockingIOError:
                self._is_full = True
                self._guest.loop.watch(self._out_fd, WRITE, self._on_writable)
                return
            except OSError:
                self.close()
                return

    def _fill(self) -> bool:
        """Take frames from the sources in turn; whether there is anything to write."""
        while self._ready and self._backlog < _BATCH_BYTES:
            ident, source = next(iter(self._ready.items()))
            del self._ready[ident]
            buffers = source.produce()
            if buffers is not None:
                self._out += buffers
                self._backlog += sum(map(len, buffers))
                if ident in self._sources:
                    self._ready[ident] = source
        return bool(self._out)

    def _written(self, size: int) -> None:
        self._backlog -= size
        done = 0
        while done < len(self._out) and size >= len(self._out[done]):
            size -= len(self._out[done])
            done += 1
        del self._out[:done]
        if size:
            self._out[0] = memoryview(self._out[0])[size:]

    def _on_writable(self, _events: int) -> None:
        self._is_full = False
        self._guest.loop.unwatch(self._out_fd)
        self._pump()
        self._listen()

    # Receiving

    def _listen(self) -> None:
        if self.is_open and not self._is_deaf():
            self._guest.loop.watch(self._in_fd, READ, self._on_readable)

    def _is_deaf(self) -> bool:
        return self._is_full and self._backlog > _BACKLOG_BYTES

    def _on_readable(self, _events: int) -> None:
        if self._is_deaf():
            self._guest.loop.unwatch(self._in_fd)
            return
        try:
            data = os.read(self._in_fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._is_heard = True
        try:
            for kind, ident, payload in self._decoder.feed(data):
                self._receive(kind, ident, payload)
                if not self.is_open:
                    return
        except wire.WireError as error:
            self.refuse(0, "protocol_error", str(error))
            self.close()

    def _receive(self, kind: int, ident: int, payload: bytes) -> None:
        if not self._is_greeted:
            self._greet(kind, payload)
        elif kind in (wire.START, wire.REQUEST):
            self._begin(kind, ident, payload)
        elif kind == wire.PING:
            self.send(wire.frame(wire.PONG, 0, payload[:_MAX_PING]))
        elif kind in _FOR_SOURCES:
            self._to_source(kind, ident, payload)
        else:
            raise wire.WireError("unknown frame type")

    def _greet(self, kind: int, payload: bytes) -> None:
        fields = _fields(payload)
        versions = fields.get("versions")
        if kind != wire.HELLO or not isinstance(versions, list):
            raise wire.WireError("no greeting")
        if wire.VERSION not in versions:
            self.refuse(0, "version", "this guest speaks version " + str(wire.VERSION))
            self.close()
            return
        self._is_greeted = True
        answer = {"version": wire.VERSION, "workspace": self._guest.workspace}
        self.send(wire.frame(wire.HELLO, 0, compact_json.encode(answer)))

    def _hello_is_due(self) -> None:
        if not self._is_greeted:
            self.close()

    def _look_for_silence(self) -> None:
        if not self._is_heard:
            self.close()
        elif self.is_open:
            self._is_heard = False
            self._silence = self._guest.loop.call_later(_SILENCE_S, self._look_for_silence)

    def _begin(self, kind: int, ident: int, payload: bytes) -> None:
        if ident <= self._last_ident:
            raise wire.WireError("ids must grow")
        self._last_ident = ident
        try:
            fields = _fields(payload)
            if kind == wire.START:
                source = self._guest.start(self, ident, fields)
            else:
                source = self._guest.request(self, ident, fields)
        except RefusedError as error:
            self.refuse(ident, error.code, error.message)
        except OSError as error:
            self.refuse(ident, "failed", str(error))
        else:
            self._sources[ident] = source
            self.wake(source)

    def _to_source(self, kind: int, ident: int, payload: bytes) -> None:
        if not 0 < ident <= self._last_ident:
            raise wire.WireError("no such id")
        source = self._sources.get(ident)
        if source is None:
            return  # it ended while this was on its way
        if kind == wire.CREDIT:
            source.credit(*_position(payload))
        elif kind == wire.ACK:
            source.ack(*_position(payload))
        elif kind == wire.INPUT:
            stream, offset = wire.parse_position(payload)
            if stream != wire.STDIN:
                raise wire.WireError("no such stream")
            source.input(offset, payload[wire.POSITION.size :])
        elif kind == wire.RESIZE:
            _resize(source, payload)
        elif kind == wire.INPUT_END:
            source.input_end()
        elif kind == wire.KILL:
            source.kill()
        else:
            self.drop(source)
            source.cancel()

    def close(self) -> None:
        """Let go of everything; commands go on without us."""
        if not self.is_open:
            return
        self.is_open = False
        self._silence.cancel()
        for source in list(self._sources.values()):
            source.cancel()
        self._sources.clear()
        self._ready.clear()
        for fd in (self._in_fd, self._out_fd):
            self._guest.loop.unwatch(fd)
            os.close(fd)
        self._guest.link_closed(self)


_FOR_SOURCES = frozenset(
    (wire.CREDIT, wire.ACK, wire.INPUT, wire.INPUT_END, wire.KILL, wire.RESIZE, wire.CANCEL)
)


def _fields(payload: bytes) -> dict[str, object]:
    try:
        fields = compact_json.decode(payload)
    except ValueError:
        raise wire.WireError("not JSON") from None
    if not isinstance(fields, dict):
        raise wire.WireError("not a JSON object")
    return fields


def _position(payload: bytes) -> tuple[int, int]:
    if len(payload) != wire.POSITION.size:
        raise wire.WireError("wrong size of a position")
    return wire.parse_position(payload)


def _resize(source: Source, payload: bytes) -> None:
    try:
        source.resize(*terminal_size(_fields(payload)))
    except RefusedError as error:
        raise wire.WireError(error.message) from None
