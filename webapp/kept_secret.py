"""A random value made at the first start and kept in a file only its owner can read."""

import fcntl
import os
import secrets
import tempfile
from pathlib import Path


def kept_secret(path: Path) -> str:
    """The value in the file at `path`, made when there is none. An empty file is none.

    Processes that start at once agree on one value. Raises: OSError when it cannot be kept.
    """
    while not (value := _read(path)):
        path.touch(mode=0o600)
        _fill(path, secrets.token_urlsafe(50))
    return value


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def _fill(path: Path, value: str) -> None:
    """Put a file with `value` in place of an empty one, unless another process was faster."""
    with path.open("r+") as empty:
        fcntl.flock(empty, fcntl.LOCK_EX)
        # Whoever had the lock before may have put another file in this one's place.
        if os.path.samestat(os.fstat(empty.fileno()), path.stat()) and not empty.read().strip():
            _replace(path, value)


def _replace(path: Path, value: str) -> None:
    """The file has its old content or the new one, whatever ends the process on the way."""
    descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as out:
            out.write(value)
            out.flush()
            os.fsync(out.fileno())
        Path(written).replace(path)
    except BaseException:
        Path(written).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
