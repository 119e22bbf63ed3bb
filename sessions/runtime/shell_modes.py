"""What a terminal's dropped past had set, so that a screen can begin in the middle.

Bytes are fed in the order in which they were printed, cut anywhere. `prelude` then brings a fresh
terminal into the state in which the bytes that follow can be understood: the modes, and the
beginning of a sequence or character that the cut went through. Colours are not followed: they
begin as the default.
"""

import re

MAX_PENDING_BYTES = 4096
"""Of an unfinished sequence; a longer one (a picture, a clipboard) is skipped to its end."""
_DEFAULTS = {7: True, 25: True}
"""Auto-wrap and a visible cursor. All other modes are off in a fresh terminal."""
_ALTERNATE = (47, 1047, 1049)
_MOUSE = (9, 1000, 1002, 1003, 1005, 1006, 1007, 1015, 1016)
_FOLLOWED = frozenset((1, 5, 6, 7, 12, 25, 45, 66, 1004, 2004, *_MOUSE, *_ALTERNATE))
_SETS = re.compile(
    rb"\x1b(?:\[\?(?P<modes>[0-9;]{1,64})(?P<set>[hl])"
    rb"|\[(?P<region>[0-9;]{0,16})r"
    rb"|\[4(?P<insert>[hl])"
    rb"|(?P<soft>\[!p)"
    rb"|(?P<hard>c)"
    rb"|(?P<keypad>[=>])"
    rb"|(?P<charset>[()][0A-Z]))"
)
_COMPLETE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-OQ-WYZ\\`-~])")
_STRING = re.compile(rb"\x1b[\]PX^_]")
_STRING_END = re.compile(rb"[\x07\x18\x1a\x1b]")


class ModeTracker:
    def __init__(self) -> None:
        self._modes: dict[int, bool] = {}
        """Those that differ from a fresh terminal's."""
        self._region = b""
        self._is_insert = False
        self._keypad = b">"
        self._charsets = {b"(": b"B", b")": b"B"}
        self._is_shifted = False
        self._pending = b""
        self._is_skipping = False
        """Inside a string that is too long to keep."""

    @property
    def is_alternate(self) -> bool:
        """Whether a program has the screen to itself."""
        return any(mode in self._modes for mode in _ALTERNATE)

    def feed(self, data: bytes) -> None:
        data = self._rest(self._pending + data)
        self._pending = b""
        if self._is_skipping:
            return
        if b"\x1b" in data:
            for found in _SETS.finditer(data):
                self._apply(found)
        if b"\x0e" in data or b"\x0f" in data:
            self._is_shifted = data.rfind(b"\x0e") > data.rfind(b"\x0f")
        self._pending = _unfinished(data)
        if len(self._pending) > MAX_PENDING_BYTES:
            self._pending, self._is_skipping = b"", True

    def cut(self) -> None:
        """The bytes that came next are lost: nothing is unfinished any more."""
        self._pending, self._is_skipping = b"", False

    def prelude(self) -> bytes:
        parts = [b"\x1b[0m"]
        parts += [b"\x1b[?%dh" % mode for mode in _ALTERNATE if mode in self._modes]
        for mode, is_on in sorted(self._modes.items()):
            if mode not in _ALTERNATE:
                parts.append(b"\x1b[?%d%c" % (mode, b"h" if is_on else b"l"))
        parts += [b"\x1b[4h"] if self._is_insert else []
        parts += [b"\x1b="] if self._keypad == b"=" else []
        parts += [b"\x1b" + slot + name for slot, name in self._charsets.items() if name != b"B"]
        parts += [b"\x0e"] if self._is_shifted else []
        parts += [b"\x1b[" + self._region + b"r"] if self._region else []
        return b"".join([*parts, self._pending])

    def skip(self, data: bytes) -> int:
        """How many bytes at the beginning of what follows belong to a string without its start."""
        if not self._is_skipping:
            return 0
        end = _string_end(data)
        return len(data) if end < 0 else end

    def copy(self) -> "ModeTracker":
        twin = ModeTracker()
        twin.__dict__.update(self.__dict__)
        twin._modes = dict(self._modes)
        twin._charsets = dict(self._charsets)
        return twin

    def _rest(self, data: bytes) -> bytes:
        if not self._is_skipping:
            return data
        end = _string_end(data)
        self._is_skipping = end < 0
        return data[end:]

    def _apply(self, found: re.Match[bytes]) -> None:
        kind = found.lastgroup
        if kind == "set":
            for text in found["modes"].split(b";"):
                self._set(int(text or b"0"), is_on=found["set"] == b"h")
        elif kind == "region":
            self._region = found["region"]
        elif kind == "insert":
            self._is_insert = found["insert"] == b"h"
        elif kind == "keypad":
            self._keypad = found["keypad"]
        elif kind == "charset":
            self._charsets[found["charset"][:1]] = found["charset"][1:]
        elif kind in {"hard", "soft"}:
            self._reset(is_hard=kind == "hard")

    def _set(self, mode: int, *, is_on: bool) -> None:
        if mode not in _FOLLOWED:
            return
        if mode in _ALTERNATE:
            for other in _ALTERNATE:
                self._modes.pop(other, None)
        if is_on == _DEFAULTS.get(mode, False):
            self._modes.pop(mode, None)
        else:
            self._modes[mode] = is_on

    def _reset(self, *, is_hard: bool) -> None:
        if is_hard:
            self.__init__()  # type: ignore[misc]  # a fresh terminal, as the sequence asks for
        else:
            for mode in (1, 6, 25):
                self._modes.pop(mode, None)
            self._region, self._is_insert, self._keypad = b"", False, b">"


def _unfinished(data: bytes) -> bytes:
    """The end of `data` that is the beginning of a sequence or of a character."""
    start = data.rfind(b"\x1b")
    if start < 0:
        return _half_character(data)
    if start == len(data) - 1:
        # A lone escape: perhaps the end of a string, which then belongs to it.
        before = data.rfind(b"\x1b", 0, start)
        is_in_string = before >= 0 and _is_open_string(data[before:start])
        return data[before if is_in_string else start :]
    tail = data[start:]
    if _STRING.match(tail):
        return tail if _is_open_string(tail) else _half_character(tail)
    return _half_character(tail) if _COMPLETE.match(tail) else tail[:MAX_PENDING_BYTES]


def _is_open_string(tail: bytes) -> bool:
    return _STRING.match(tail) is not None and _STRING_END.search(tail, 1) is None


def _string_end(data: bytes) -> int:
    """Where what comes after a string begins, -1 while it goes on."""
    end = _STRING_END.search(data)
    if end is None:
        return -1
    # An escape begins something new, be it only the terminator; a bell has been heard.
    return end.start() if end[0] == b"\x1b" else end.end()


def _half_character(data: bytes) -> bytes:
    """Of UTF-8: a first byte whose continuation is missing."""
    for length in range(1, min(3, len(data)) + 1):
        byte = data[-length]
        if byte < 0x80:
            return b""
        if byte >= 0xC0:
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4 if byte < 0xF8 else 1
            return data[-length:] if length < wanted else b""
    return b""
