"""The text of a file, from a worker process with limits, in pieces with their vectors."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from sessions.search import extract_worker
from sessions.search.embedding import embedder
from sessions.search.pieces import Piece, pieces

ErrorCode: TypeAlias = Literal["server_error", "unsupported_file", "invalid_file"]

TIMEOUT_S = 1800.0
"""From the first byte to the last piece. The worker's own limit is its processor time; most of this
is spent here, on vectors, and a busy machine is no fault of the file."""
MAX_TEXT_CHARS = 20_000_000
"""About the five million tokens that a hosted store takes of a file."""
MAX_PIECES = 20_000
_READ_CHARS = 64 * 1024
_PROJECT = Path(__file__).resolve().parents[2]
_WHY: dict[int, tuple[ErrorCode, str]] = {
    extract_worker.UNSUPPORTED: (
        "unsupported_file",
        "This kind of file has no text that can be read here.",
    ),
    extract_worker.ENCRYPTED: ("invalid_file", "The file is encrypted."),
}
_BROKEN: tuple[ErrorCode, str] = (
    "invalid_file",
    "The file is damaged, or takes more time or memory to read than it may.",
)


class ExtractError(Exception):
    """There is no text to be had; `message` says why, for whoever sent the file."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message


def suffix(name: str) -> str:
    """Of a name that may be anything: what follows its last dot, plain letters alone."""
    last = name.rpartition(".")[2]
    return f".{last}" if last.isascii() and last.isalnum() and len(last) < len(name) else ""


class FilePieces:
    """Blocks: each method is for a thread, one at a time, but for `kill`."""

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        max_tokens: int,
        overlap_tokens: int,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Raises: OSError."""
        with path.open("rb") as file:
            self._worker = subprocess.Popen(
                (sys.executable, "-m", "sessions.search.extract_worker", suffix(name)),
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=_PROJECT,
                env={},  # no secrets where hostile files are parsed
            )
        self._timer = threading.Timer(timeout_s, self.kill)
        self._timer.daemon = True
        self._timer.start()
        self._count = 0
        self._lock = threading.Lock()
        """Whoever waited for `take` may have left before it came back."""
        self._pieces = pieces(
            self._texts(), embedder(), max_tokens=max_tokens, overlap_tokens=overlap_tokens
        )

    def _texts(self) -> Iterator[str]:
        assert self._worker.stdout is not None
        length = 0
        with TextIOWrapper(self._worker.stdout, "utf-8", "replace", newline="\n") as out:
            while text := out.read(_READ_CHARS):
                length += len(text)
                if length > MAX_TEXT_CHARS:
                    raise ExtractError(
                        "invalid_file", f"The file has more than {MAX_TEXT_CHARS:,} characters."
                    )
                yield text
        code = self._worker.wait()
        if code != 0:
            raise ExtractError(*_WHY.get(code, _BROKEN))

    def take(self, count: int) -> list[Piece]:
        """The next ones, none at the end. Raises: ExtractError."""
        with self._lock:
            taken = list(islice(self._pieces, count))
        self._count += len(taken)
        if self._count > MAX_PIECES:
            raise ExtractError("invalid_file", f"The file has more than {MAX_PIECES:,} pieces.")
        return taken

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._worker.kill()

    def close(self) -> None:
        self._timer.cancel()
        self.kill()
        with self._lock:
            self._pieces.close()  # type: ignore[attr-defined]  # a generator
            if self._worker.stdout is not None:
                self._worker.stdout.close()
        self._worker.wait()
