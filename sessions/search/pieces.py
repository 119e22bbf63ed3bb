"""A text in overlapping pieces of so many tokens, each with its vectors, without holding it whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sessions.search.embedding import Embedder, Vector

SEGMENT_CHARS = 8_000
"""The tokenizer is given so much at a time: its memory grows with that."""
LOOK_BACK_CHARS = 400
"""Within so much before the end of a segment a line or a word ends, where it is then cut."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`vectors` are of what it does not share with the piece before: what was found there is found
    once."""

    text: str
    vectors: Vector


@dataclass(frozen=True, slots=True)
class _Read:
    """A token with the characters it stands for, and those since the one before."""

    id: int
    text: str


def segments(parts: Iterable[str]) -> Iterator[str]:
    """The same text in parts of up to `SEGMENT_CHARS`, cut where a line or a word ends."""
    rest = ""
    for part in parts:
        rest += part
        while len(rest) > SEGMENT_CHARS:
            cut = _cut(rest)
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def _cut(text: str) -> int:
    begin = SEGMENT_CHARS - LOOK_BACK_CHARS
    for mark in ("\n", " "):
        found = text.rfind(mark, begin, SEGMENT_CHARS)
        if found >= 0:
            return found + 1
    return SEGMENT_CHARS


def pieces(
    parts: Iterable[str], embedder: Embedder, *, max_tokens: int, overlap_tokens: int
) -> Iterator[Piece]:
    """None for a text of nothing but spaces. `overlap_tokens` is at most half of `max_tokens`."""
    window: list[_Read] = []
    fresh = 0
    for token in _tokens(parts, embedder):
        if len(window) == max_tokens:
            yield from _piece(window, fresh, embedder)
            del window[: max_tokens - overlap_tokens]
            fresh = 0
        window.append(token)
        fresh += 1
    if fresh:
        yield from _piece(window, fresh, embedder)


def _tokens(parts: Iterable[str], embedder: Embedder) -> Iterator[_Read]:
    for segment in segments(parts):
        end = 0
        for token in embedder.tokens(segment):
            # Several tokens may stand for one character: the first of them has it.
            upto = max(end, token.end)
            yield _Read(token.id, segment[end:upto])
            end = upto


def _piece(window: list[_Read], fresh: int, embedder: Embedder) -> Iterator[Piece]:
    text = "".join(token.text for token in window).strip()
    if text:
        yield Piece(text, embedder.vectors([token.id for token in window[-fresh:]]))
