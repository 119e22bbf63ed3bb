"""Remember what a step was done for, so that doing it again costs one small read."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from scripts.host import VAR


def is_current(name: str, key: str) -> bool:
    try:
        return _path(name).read_text() == key
    except OSError:
        return False


def mark(name: str, key: str) -> None:
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(key)


def content_key(paths: Iterable[Path]) -> str:
    """Changes with any file's name or bytes."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _path(name: str) -> Path:
    return VAR / "stamps" / name
