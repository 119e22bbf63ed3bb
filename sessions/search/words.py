"""The words of a query, as the databases' own indexes of words are asked for them."""

import re
from dataclasses import dataclass

MAX_WORDS = 32
MAX_WORD_CHARS = 64
NAME_WEIGHT = 3.0
"""Of a word with digits or joined parts, beside a plain one: it names one thing."""
_WORD = re.compile(r"\w+(?:[-./:+#@]+\w+)*")
_PART = re.compile(r"\w+")
_STOP = frozenset(
    [
        "a",
        "about",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "me",
        "my",
        "no",
        "not",
        "of",
        "on",
        "or",
        "our",
        "should",
        "so",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)
"""They tell no text from another."""


def told(query: str) -> str:
    """The query without words that are everywhere, but for one of nothing else: they only draw its
    vector towards everything."""
    words = [word for word in query.split() if word.strip("?!.,;:").casefold() not in _STOP]
    return " ".join(words) or query


@dataclass(frozen=True, slots=True)
class Word:
    """`parts` stand next to each other in the text; there is one for a plain word."""

    parts: tuple[str, ...]

    @property
    def weight(self) -> float:
        is_name = len(self.parts) > 1 or any(map(str.isdigit, "".join(self.parts)))
        return NAME_WEIGHT if is_name else 1.0


def words_of(query: str) -> list[Word]:
    """Each once, in their order, without those that are everywhere, but for a query of nothing
    else."""
    found = [
        Word(parts)
        for word in _WORD.findall(query.casefold())
        if (
            parts := tuple(part[:MAX_WORD_CHARS] for part in _PART.findall(word.replace("_", " ")))
        )
    ]
    told = [word for word in found if len(word.parts) > 1 or word.parts[0] not in _STOP]
    return list(dict.fromkeys(told or found))[:MAX_WORDS]


def sqlite_query(words: list[Word], stores: list[str]) -> str:
    """For FTS5. Words are letters, digits and nothing else, so that none is read as syntax."""
    wanted = " OR ".join(f'"{" ".join(word.parts)}"' for word in words)
    where = " OR ".join(f'"{store}"' for store in stores)
    return f"store_id : ({where}) AND text : ({wanted})"


def postgres_query(words: list[Word]) -> str:
    """For `websearch_to_tsquery`, which takes anything."""
    return " OR ".join(f'"{" ".join(word.parts)}"' for word in words)


def coverage(words: list[Word], text: str) -> float:
    """How much of what was asked for the text has, from 0 to 1."""
    total = sum(word.weight for word in words)
    if not total:
        return 0.0
    folded = f" {' '.join(_PART.findall(text.casefold().replace('_', ' ')))} "
    there = sum(word.weight for word in words if _begins(folded, word))
    return there / total


def _begins(folded: str, word: Word) -> bool:
    """A plain word also as the beginning of one: indexes know the forms of a word."""
    wanted = " ".join(word.parts)
    if len(word.parts) == 1 and len(wanted) > 3 and not any(map(str.isdigit, wanted)):
        return f" {_stem(wanted)}" in folded
    return f" {wanted} " in folded


def _stem(word: str) -> str:
    """Roughly: enough to find `indexing` for `indexed`."""
    for ending in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 3:
            return word.removesuffix(ending)
    return word
