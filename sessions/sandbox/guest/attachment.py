"""A command as one host connection sees it: where it has read to and what it may be sent."""

from __future__ import annotations

from sessions.sandbox.guest import compact_json, wire
from sessions.sandbox.guest.source import CHUNK, RefusedError, Source, override

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sessions.sandbox.guest.command import Command, OutputStream
    from sessions.sandbox.guest.link import Link
    from sessions.sandbox.guest.start_request import StartRequest


CRUMB_BYTES = 4 << 10
"""Less output of a command that goes on is worth waiting for more."""


class Cursor:
    def __init__(self, stream: OutputStream, offset: int, window: int) -> None:
        if offset > stream.spool.end:
            raise RefusedError("offset_gone", "there is no output from there on")
        # What was acknowledged is no longer kept; STARTED tells where the rest begins.
        offset = max(offset, stream.spool.start)
        self.stream = stream
        self.at = offset
        self.limit = offset + window

    def take(self) -> bytes:
        room = min(self.limit, self.stream.spool.end) - self.at
        return self.stream.spool.read(self.at, min(room, CHUNK)) if room > 0 else b""


class Attachment(Source):
    def __init__(self, link: Link, ident: int, command: Command, request: StartRequest) -> None:
        super().__init__(link, ident)
        self._command = command
        self._has_sent_end = False
        self._is_late = command.ended is not None
        """The host may want to end what the command left running: it is not gone once that is told."""
        # Checked for every stream before anything changes.
        self._cursors = {
            number: Cursor(stream, request.offsets.get(number, 0), request.window)
            for number, stream in command.streams.items()
        }
        if command.attachment is not None:
            command.attachment.superseded()
        command.attachment = self
        for number, cursor in self._cursors.items():
            self._forget(number, cursor.at)
        if command.stdin is not None:
            command.stdin.grant = self._grant

    def wake(self) -> None:
        self.link.wake(self)

    def announce(self, *, existed: bool) -> None:
        """Tell where input goes on; the host cannot know it of a command that was there."""
        stdin = self._command.stdin
        position = {"offset": stdin.received, "limit": stdin.limit} if stdin else None
        offsets = {str(number): cursor.at for number, cursor in self._cursors.items()}
        body = compact_json.encode({"existed": existed, "stdin": position, "offsets": offsets})
        self.link.send(wire.frame(wire.STARTED, self.ident, body))

    def superseded(self) -> None:
        """Another connection attached to the same command."""
        self.link.refuse(self.ident, "superseded", "attached to from elsewhere")
        self._leave()

    @override
    def produce(self) -> list[bytes] | None:
        for number in list(self._cursors):
            cursor = self._cursors[number]
            data = cursor.take()
            if data and self._may_send(data):
                head = wire.data_head(wire.OUTPUT, self.ident, number, cursor.at, len(data))
                cursor.at += len(data)
                # To the back: the streams of one command take turns.
                self._cursors[number] = self._cursors.pop(number)
                return [head, data]
        return self._end()

    def _may_send(self, data: bytes) -> bool:
        is_crumb = len(data) < CRUMB_BYTES and self._command.ended is None
        return not is_crumb or self.link.may_send_crumb(self)

    def _end(self) -> list[bytes] | None:
        ended = self._command.ended
        if ended is None or self._has_sent_end or not self._is_all_sent():
            return None
        self._has_sent_end = True
        if self.is_over():
            self._command.is_told = True
            if not self._is_late:
                self._leave()
        return [wire.frame(wire.ENDED, self.ident, compact_json.encode(ended))]

    def _is_all_sent(self) -> bool:
        return all(cursor.at == cursor.stream.spool.end for cursor in self._cursors.values())

    @override
    def credit(self, stream: int, limit: int) -> None:
        cursor = self._cursor(stream)
        cursor.limit = max(cursor.limit, limit)
        self.wake()

    @override
    def ack(self, stream: int, offset: int) -> None:
        if offset > self._cursor(stream).at:
            raise wire.WireError("acknowledges what was not sent")
        self._forget(stream, offset)
        if self.is_over():
            self._command.is_told = True
            self._leave()

    def _cursor(self, stream: int) -> Cursor:
        cursor = self._cursors.get(stream)
        if cursor is None:
            raise wire.WireError("no such stream")
        return cursor

    def _forget(self, number: int, offset: int) -> None:
        stream = self._command.streams[number]
        stream.spool.forget(offset)
        stream.freed()

    def _grant(self, limit: int) -> None:
        self.link.send(wire.position_frame(wire.CREDIT, self.ident, wire.STDIN, limit))

    @override
    def input(self, offset: int, data: bytes) -> None:
        if self._command.stdin is None:
            raise wire.WireError("takes no input")
        if self._command.ended is None:
            self._command.stdin.take(offset, data)

    @override
    def input_end(self) -> None:
        if self._command.stdin is None:
            raise wire.WireError("takes no input")
        self._command.stdin.end()

    @override
    def kill(self) -> None:
        self._command.kill("stopped")

    @override
    def resize(self, columns: int, rows: int) -> None:
        if wire.PTY not in self._command.streams:
            raise wire.WireError("not a terminal")
        self._command.streams[wire.PTY].resize(columns, rows)

    @override
    def cancel(self) -> None:
        self._leave()

    def is_over(self) -> bool:
        """Whether the host was sent all of it, and has stored that."""
        spools = [cursor.stream.spool for cursor in self._cursors.values()]
        return self._has_sent_end and all(spool.start == spool.end for spool in spools)

    def _leave(self) -> None:
        self.link.drop(self)
        if self._command.attachment is self:
            self._command.attachment = None
            if self._command.stdin is not None:
                self._command.stdin.grant = None
