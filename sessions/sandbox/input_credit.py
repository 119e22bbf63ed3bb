"""How much input a guest takes, and how often it may say so."""

from sessions.sandbox.guest import wire

FREE_GRANTS = 64
BYTES_PER_GRANT = 1024
"""A guest grants by the 128 KiB. One that grants by the byte only keeps its host busy."""


class InputCredit:
    def __init__(self) -> None:
        self.limit = 0
        """Offsets below it may be sent."""
        self._grants = 0

    def granted(self, payload: bytes, sent: int) -> None:
        """A CREDIT frame arrived after `sent` bytes of input. Raises: wire.WireError."""
        stream, limit = wire.parse_position(payload)
        if stream != wire.STDIN:
            raise wire.WireError("credit for no input")
        self._grants += 1
        if self._grants > FREE_GRANTS + sent // BYTES_PER_GRANT:
            raise wire.WireError("credit without end")
        self.raise_to(limit)

    def raise_to(self, limit: int) -> None:
        """A lower limit than before changes nothing."""
        self.limit = max(self.limit, limit)
