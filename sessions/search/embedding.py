"""Tokens and their vectors: a table of static vectors that ships with the wordllama package.

A text's vector is the mean of its tokens'. There is no network behind it and nothing is fetched:
the files are read where the package has them. Loaded at the first use, once in a process; it then
takes about 50 MB.
"""

import threading
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

DIMENSIONS = 256
STORED_TYPE = np.dtype("<f2")
"""As vectors are kept: unit length, half precision."""
_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_loading = threading.Lock()

Vector = NDArray[np.float32]
Stored = NDArray[np.float16]


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

    def embed(self, text: str) -> Vector:
        return self.vector([token.id for token in self.tokens(text)])


@lru_cache(maxsize=1)
def _embedder() -> Embedder:
    return Embedder()


def embedder() -> Embedder:
    """That of this process. Blocks for about half a second at the first call."""
    with _loading:
        return _embedder()


def stored(vectors: list[Vector]) -> bytes:
    return np.asarray(vectors, STORED_TYPE).tobytes()


def similarities(block: bytes, wanted: Vector) -> Vector:
    """Cosine of the angle to each vector of the block."""
    vectors = np.frombuffer(block, STORED_TYPE).reshape(-1, DIMENSIONS)
    return vectors.astype(np.float32) @ wanted
