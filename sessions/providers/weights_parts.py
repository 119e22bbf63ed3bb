"""The pinned parts a model file is joined from, and how they are checked and joined."""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sessions.errors import ModelNotReadyError

CHUNK_BYTES = 1024 * 1024
QWEN_CODER_1_5B = Path(__file__).parent / "weights" / "qwen2.5-coder-1.5b-instruct-q4_k_m.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One wheel. `member` is the file inside that holds the bytes; `size` and `sha256` are its."""

    package: str
    wheel_sha256: str
    wheel_size: int
    member: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Weights:
    """A model file; `size` and `sha256` are of the joined whole."""

    name: str
    size: int
    sha256: str
    version: str
    parts: tuple[Part, ...]

    def requirement(self, part: Part) -> str:
        """A line of a requirements file that lets pip accept this very wheel only."""
        return f"{part.package}=={self.version} --hash=sha256:{part.wheel_sha256}"


def load_weights(path: Path = QWEN_CODER_1_5B) -> Weights:
    value = json.loads(path.read_text())
    parts = tuple(Part(**part) for part in value.pop("parts"))
    return Weights(**value, parts=parts)


def wrong_weights(what: str) -> ModelNotReadyError:
    return ModelNotReadyError(
        f"{what} does not have the expected hash, so it is not used.",
        hint="Check the package index that pip is configured for, then run `manage.py fetch_model`.",
    )


def count_finished(weights: Weights, partial: Path) -> int:
    """How many parts `partial` holds intact; whatever follows them is cut off."""
    if not partial.exists():
        return 0
    finished = kept = 0
    with partial.open("r+b") as file:
        for part in weights.parts:
            if _hash(_read(file, part.size)) != part.sha256:
                break
            finished += 1
            kept += part.size
        file.truncate(kept)
    return finished


def append_part(part: Part, wheel: Path, partial: Path) -> None:
    """Add the bytes of `part` to the end of `partial`, or nothing.

    Raises: ModelNotReadyError when the wheel holds other bytes than were pinned.
    """
    with partial.open("ab") as file:
        start = file.tell()
        digest = hashlib.sha256()
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
                for chunk in iter(lambda: member.read(CHUNK_BYTES), b""):
                    digest.update(chunk)
                    file.write(chunk)
            is_right = digest.hexdigest() == part.sha256
        except (zipfile.BadZipFile, KeyError):
            is_right = False
        if not is_right:
            file.truncate(start)
            raise wrong_weights(f"The part {part.package}")


def check_whole(weights: Weights, path: Path) -> None:
    """Remove the file when it is not bit for bit the pinned one.

    Raises: ModelNotReadyError then.
    """
    with path.open("rb") as file:
        is_right = path.stat().st_size == weights.size and _hash(_read(file)) == weights.sha256
    if not is_right:
        # Each part was right when it was added: the disk or somebody changed it since.
        path.unlink()
        raise wrong_weights(f"The model file {path.name}")


def check_room(weights: Weights, folder: Path, present_bytes: int) -> None:
    """Raises: ModelNotReadyError when the disk cannot take what is still to come."""
    biggest = max(part.wheel_size for part in weights.parts)
    needed = weights.size - present_bytes + 2 * biggest
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelNotReadyError(
            f"The model needs {needed / 1e9:.1f} GB more in {folder}, {free / 1e9:.1f} GB are free.",
            hint="Make room, or set BERTH_CACHE to a folder on another disk.",
        )


def settle(partial: Path, target: Path) -> None:
    """Give the finished file its name, so that it appears whole or not at all."""
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(target)


def _read(file: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    left = size
    while left is None or left > 0:
        chunk = file.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
        if not chunk:
            return
        if left is not None:
            left -= len(chunk)
        yield chunk


def _hash(chunks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
