"""What was found by meaning and what was found by words, in one order.

Ranks are fused (reciprocal rank fusion); that tells nothing of whether the best is any good, so
that each is scaled by how near it comes to what was asked: the cosine of the vectors, or the share
of the words that it has, whichever is more. A score is from 0 to 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FUSION_RANK = 60
"""The usual constant: how much a rank matters beside those that follow."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Of meaning and of words; not both are 0."""

    meaning: float = 1.0
    words: float = 1.0


def fused(
    by_meaning: Sequence[tuple[int, float]],
    by_words: Sequence[tuple[int, float]],
    weights: Weights,
) -> dict[int, float]:
    """Scores of pieces. Each list is of pieces with how near they come, from 0 to 1, the best
    first."""
    most = max(weights.meaning, weights.words)
    lists = [(by_meaning, weights.meaning), (by_words, weights.words)]
    shares: dict[int, float] = {}
    nearness: dict[int, float] = {}
    for found, weight in lists:
        if not weight:
            continue
        for rank, (piece, near) in enumerate(found):
            share = weight * (FUSION_RANK + 1) / (FUSION_RANK + 1 + rank)
            shares[piece] = shares.get(piece, 0.0) + share
            scaled = max(0.0, min(1.0, near)) * weight / most
            nearness[piece] = max(nearness.get(piece, 0.0), scaled)
    total = weights.meaning + weights.words
    return {piece: shares[piece] / total * nearness[piece] for piece in shares}


def best(scores: Mapping[int, float], *, count: int, threshold: float) -> list[tuple[int, float]]:
    """The highest first; what was found first before what came later."""
    found = [(piece, score) for piece, score in scores.items() if score >= threshold]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:count]
