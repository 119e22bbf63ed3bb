"""What a link carries under one id: an attached command or a request."""

from __future__ import annotations

from sessions.sandbox.guest import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import override as override

    from sessions.sandbox.guest.link import Link

else:

    def override(method):  # noqa: ANN001, ANN201 - typed above
        return method


CHUNK = 64 << 10
"""Most data in one OUTPUT frame: streams take turns, so a flood delays no neighbour by much."""


class RefusedError(Exception):
    """The host asked for something that cannot be done; the channel lives on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Source:
    """Frames for this id arrive here; `produce` is asked when there is room to send."""

    def __init__(self, link: Link, ident: int) -> None:
        self.link = link
        self.ident = ident

    def produce(self) -> list[bytes] | None:
        """The buffers of the next frame, or None: nothing now, `link.wake` comes later."""
        raise NotImplementedError

    def credit(self, stream: int, limit: int) -> None:
        raise wire.WireError("no such stream")

    def ack(self, stream: int, offset: int) -> None:
        raise wire.WireError("no such stream")

    def input(self, offset: int, data: bytes) -> None:
        raise wire.WireError("takes no input")

    def input_end(self) -> None:
        raise wire.WireError("takes no input")

    def kill(self) -> None:
        raise wire.WireError("not a command")

    def resize(self, columns: int, rows: int) -> None:
        raise wire.WireError("not a terminal")

    def cancel(self) -> None:
        """The host wants no more of it, or the link is lost."""
        raise NotImplementedError
