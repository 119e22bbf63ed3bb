"""The newest line a session printed or said, as plain text for a list."""

import re

from sessions.events.types import CallStarted, EventBody, MessageDone, Output

MAX_CHARS = 200
_TAIL_BYTES = 2000
# CSI and OSC sequences and the other C0/C1 controls (ECMA-48).
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
# Marks that reorder or hide text around them.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def plain(text: str) -> str:
    return _INVISIBLE.sub("", _ESCAPES.sub("", text))


class LastLine:
    """Fed with every event, asked now and then."""

    def __init__(self) -> None:
        self._tail = b""
        self._line: str | None = None
        self._is_new = False

    @property
    def is_new(self) -> bool:
        """There is something `take` has not seen."""
        return self._is_new

    def add(self, body: EventBody) -> None:
        match body:
            case Output():
                self._tail = (self._tail + body.content)[-_TAIL_BYTES:]
                self._line, self._is_new = None, True
            case CallStarted():
                self._set(f"$ {body.command}")
            case MessageDone(kind="text"):
                self._set(body.text)

    def _set(self, text: str) -> None:
        self._tail, self._line, self._is_new = b"", text, True

    def take(self) -> str | None:
        """The line if there is a new one since the last call, else None."""
        if not self._is_new:
            return None
        self._is_new = False
        text = self._line if self._line is not None else self._tail.decode("utf-8", "replace")
        for line in reversed(re.split(r"[\r\n]+", text)):
            words = plain(line).strip()
            if words:
                return words[:MAX_CHARS]
        return None
