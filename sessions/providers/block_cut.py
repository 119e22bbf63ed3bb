"""Cut a stream of Markdown at the end of its first block that can be run.

A reply that begins with the comment that names a file, but without the fence, gets the fence.
"""

from dataclasses import dataclass, field

from sessions.providers.fences import Block, FenceScanner
from sessions.providers.markdown import commented_name, tool_arguments

MAX_LINE_LENGTH = 1000


@dataclass(slots=True)
class BlockCut:
    """Feed pieces, pass on what comes back, stop when `is_complete`."""

    text: str = ""
    """What was passed on, all of it."""
    block: Block | None = None
    _line: str = ""
    """The line that is not complete yet; it was passed on already."""
    _scanner: FenceScanner = field(default_factory=FenceScanner)
    _is_first_line: bool = True

    @property
    def is_complete(self) -> bool:
        return self.block is not None

    @property
    def has_run_away(self) -> bool:
        """A line without an end: the model repeats itself until it is stopped."""
        return len(self._line) > MAX_LINE_LENGTH

    def feed(self, piece: str) -> str:
        """The part of `piece` that belongs to the reply: all, or up to the end of the block."""
        if self._is_first_line:
            # Held back until it is whole: it may need a fence before it.
            self._line += piece
            if "\n" not in self._line.lstrip("\n"):
                return ""
            piece, self._line, self._is_first_line = self._line, "", False
            piece = _with_fence(piece)
        passed = ""
        for line in piece.splitlines(keepends=True):
            if self.is_complete:
                break
            passed += line
            self._line += line
            if line.endswith("\n"):
                self._end_line()
        self.text += passed
        return passed

    def _end_line(self) -> None:
        block = self._scanner.feed(self._line.rstrip("\r\n"))
        self._line = ""
        if block is not None and tool_arguments(block) is not None:
            self.block = block

    def finish(self, *, was_cut_off: bool) -> str:
        """At the end of the stream. Returns what to pass on still: the fence a model forgot.

        A block the stream was cut off in is incomplete and does not count.
        """
        if self.is_complete:
            return ""
        held = self._line if self._is_first_line else ""
        self.text += held
        if self._line:
            self._end_line()
        block = self.block or (None if was_cut_off else self._scanner.finish())
        if block is None or block is self.block or tool_arguments(block) is None:
            return held
        self.block = block
        fence = "```\n" if self.text.endswith("\n") else "\n```\n"
        self.text += fence
        return held + fence


def _with_fence(text: str) -> str:
    first_line = text.lstrip("\n").split("\n", 1)[0]
    return f"```python\n{text}" if commented_name(first_line) else text
