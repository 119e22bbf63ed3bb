"""A folder as the tree shows it: sorted, capped, with a fingerprint to ask again cheaply."""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sessions.sandbox.base import Entry, Sandbox
from sessions.workspace.paths import display_name, encode_path, format_path

PAGE_ENTRIES = 500
MAX_ENTRIES = 20_000
"""Entries of one folder that are ever sent; the count of all is told."""

_MANY_ENTRIES = 1000
"""From here on, arranging them would hold up everything else on the event loop."""
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Listing:
    """The first entries of a folder and what is known of all of them."""

    path: str
    entries: tuple[Entry, ...]
    total: int
    fingerprint: str
    """Changes when any entry of the folder does, shown or not."""


async def list_folder(sandbox: Sandbox, path: str, *, limit: int = PAGE_ENTRIES) -> Listing:
    """Raises: FileAccessError family, SandboxUnavailableError."""
    entries = await sandbox.list_dir(path)
    if len(entries) < _MANY_ENTRIES:
        return _arrange(path, entries, limit)
    return await asyncio.to_thread(_arrange, path, entries, limit)


def _arrange(path: str, entries: list[Entry], limit: int) -> Listing:
    entries = sorted(entries, key=sort_key)
    shown = tuple(entries[: min(limit, MAX_ENTRIES)])
    return Listing(path, shown, len(entries), fingerprint(entries, shown=len(shown)))


def sort_key(entry: Entry) -> tuple[bool, list[tuple[int, int, str]], str]:
    """Folders first, then as a person counts: `a2` before `a10`, capitals beside small letters."""
    parts = _DIGITS.split(entry.name.casefold())
    # Odd places hold digits. Ones that int() reads at length are compared as text.
    natural = [
        (0, int(part), "") if place % 2 and len(part) <= 18 else (1, 0, part)
        for place, part in enumerate(parts)
    ]
    return entry.kind != "folder", natural, entry.name


def fingerprint(entries: Sequence[Entry], *, shown: int) -> str:
    """Equal for two listings exactly when a person could not tell them apart."""
    digest = hashlib.blake2b(str(shown).encode(), digest_size=12)
    for entry in entries:
        target = entry.symlink_target or ""
        facts = f"\0{entry.kind}\0{entry.size}\0{entry.modified_at!r}\0{entry.mode}\0"
        digest.update(encode_path(entry.name) + facts.encode() + encode_path(target) + b"\0\0")
    return digest.hexdigest()


def listing_json(listing: Listing) -> dict[str, Any]:
    return {
        "query": format_path(listing.path),
        "fingerprint": listing.fingerprint,
        "total": listing.total,
        "entries": [entry_json(entry) for entry in listing.entries],
    }


def entry_json(entry: Entry) -> dict[str, Any]:
    """`name` is for showing, `query` for asking; `plain` tells that `name` is the name itself."""
    shown = display_name(entry.name)
    return {
        "name": shown,
        "plain": shown == entry.name,
        "query": format_path(entry.path),
        "kind": entry.kind,
        "size": entry.size,
        "modified": entry.modified_at,
        "target": None if entry.symlink_target is None else display_name(entry.symlink_target),
    }
