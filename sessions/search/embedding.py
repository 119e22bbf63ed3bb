"""Tokens and their vectors: a table of static vectors that ships with the wordllama package.

A text's vector is the mean of its tokens', which says little of a long one: a piece of text has a
vector for every few words, and is as near to a query as the nearest of them. There is no network behind it and nothing is fetched:
the files are read where the package has them. Loaded at the first use, once in a process; it then
takes about 50 MB.
"""

import threading
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

DIMENSIONS = 256
WINDOW_TOKENS = 32
"""About what one vector stands for: a sentence."""
_VECTOR_TYPE = np.dtype("i1")
_COUNT_TYPE = np.dtype("<u2")
_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_loading = threading.Lock()

Vector = NDArray[np.float32]
"""One of `DIMENSIONS`, or one below the other."""


class Token(NamedTuple):
    """`start` and `end` are characters of the text that was given."""

    id: int
    start: int
    end: int


class Embedder:
    def __init__(self) -> None:
        spec = find_spec("wordllama")
        if spec is None or spec.origin is None:
            raise RuntimeError("The package wordllama is not installed.")
        folder = Path(spec.origin).parent
        self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._table = load_file(folder / _WEIGHTS)["embedding.weight"]
        if self._table.shape[1] != DIMENSIONS:
            raise RuntimeError("The vectors of wordllama have another length than expected.")

    def tokens(self, text: str) -> list[Token]:
        """Half characters count as one that cannot be read."""
        clean = text.encode("utf-8", "replace").decode()
        found = self._tokenizer.encode(clean, add_special_tokens=False)
        return [Token(i, *span) for i, span in zip(found.ids, found.offsets, strict=True)]

    def vector(self, ids: list[int]) -> Vector:
        """Of unit length; zero for no tokens."""
        if not ids:
            return np.zeros(DIMENSIONS, np.float32)
        mean = self._table[ids].mean(axis=0, dtype=np.float32)
        length = float(np.linalg.norm(mean))
        return np.asarray(mean / length if length else mean, np.float32)

    def vectors(self, ids: list[int]) -> Vector:
        """One for each of the equal parts of about `WINDOW_TOKENS` that there are, at least one."""
        count = max(1, round(len(ids) / WINDOW_TOKENS))
        bounds = [round(len(ids) * number / count) for number in range(count + 1)]
        parts = [self.vector(ids[begin:end]) for begin, end in pairwise(bounds)]
        return np.stack(parts)

    def embed(self, text: str) -> Vector:
        return self.vector([token.id for token in self.tokens(text)])


@lru_cache(maxsize=1)
def _embedder() -> Embedder:
    return Embedder()


def embedder() -> Embedder:
    """That of this process. Blocks for about half a second at the first call."""
    with _loading:
        return _embedder()


class Block(NamedTuple):
    """Vectors of pieces that follow one another, as they are kept: bytes are a quarter of floats,
    and their angles nearly the same."""

    counts: bytes
    vectors: bytes


def packed(pieces: Sequence[Vector]) -> Block:
    counts = np.asarray([len(vectors) for vectors in pieces], _COUNT_TYPE)
    rows = np.concatenate(pieces)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = rows * (127 / np.where(largest > 0, largest, 1))
    return Block(counts.tobytes(), np.rint(scaled).astype(_VECTOR_TYPE).tobytes())


def similarities(block: Block, wanted: Vector) -> Vector:
    """For each piece the cosine of the angle to the nearest of its vectors."""
    counts = np.frombuffer(block.counts, _COUNT_TYPE).astype(np.intp)
    rows = np.frombuffer(block.vectors, _VECTOR_TYPE).reshape(-1, DIMENSIONS).astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    cosines = (rows @ wanted) / np.where(lengths > 0, lengths, 1)
    begins = np.concatenate(([0], np.cumsum(counts)[:-1]))
    nearest: Vector = np.maximum.reduceat(cosines, begins)
    return nearest
