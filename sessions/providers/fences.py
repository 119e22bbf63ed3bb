"""Fenced code blocks of Markdown, found line by line.

Follows CommonMark where it matters: a fence is at least three backticks or tildes, indented by at
most three spaces; it is closed by a fence of the same character, at least as long, with nothing
behind it. The text may come from a model or a person: everything else is prose, never an error.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
_SEPARATORS = str.maketrans("{},", "   ")


@dataclass(frozen=True, slots=True)
class Block:
    """`info` is what follows the opening fence, `content` ends in a newline unless empty."""

    info: str
    content: str
    is_closed: bool = True

    @property
    def language(self) -> str:
        words = self.info.translate(_SEPARATORS).split()
        return words[0].lower().lstrip(".") if words else ""


@dataclass(slots=True)
class FenceScanner:
    """Feed whole lines without their newline; a `Block` comes back on its closing line."""

    _fence: str = ""
    _info: str = ""
    _lines: list[str] = field(default_factory=list)

    @property
    def is_inside(self) -> bool:
        return bool(self._fence)

    def feed(self, line: str) -> Block | None:
        match = _FENCE.match(line)
        if not self._fence:
            if match and not ("`" in match[2] and match[1][0] == "`"):
                self._fence, self._info = match[1], match[2].strip()
            return None
        if match and match[1].startswith(self._fence) and not match[2].strip():
            return self._close(is_closed=True)
        self._lines.append(line)
        return None

    def finish(self) -> Block | None:
        """The block that the end of the text left open, if any."""
        return self._close(is_closed=False) if self._fence else None

    def _close(self, *, is_closed: bool) -> Block:
        content = "".join(f"{line}\n" for line in self._lines)
        block = Block(self._info, content, is_closed)
        self._fence, self._info, self._lines = "", "", []
        return block


def split(text: str) -> Iterator[str | Block]:
    """The lines of prose (without newline) and the blocks of `text`, in their order."""
    scanner = FenceScanner()
    for line in lines_of(text):
        was_inside = scanner.is_inside
        block = scanner.feed(line)
        if block is not None:
            yield block
        elif not was_inside and not scanner.is_inside:
            yield line
    block = scanner.finish()
    if block is not None:
        yield block


def lines_of(text: str) -> list[str]:
    """Lines as Markdown has them: `str.splitlines` would also split at form feeds and U+2028."""
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines
