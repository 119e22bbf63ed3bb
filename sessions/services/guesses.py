"""Attempts that are counted for a while, so that nothing can be guessed at will."""

import hashlib

from django.core.cache import cache

GUESS_WINDOW_S = 300


def _name(kind: str, parts: tuple[str, ...]) -> str:
    return f"{kind}:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()


async def guess_count(kind: str, *parts: str) -> int:
    """How many there were of these within the window, with this one."""
    name = _name(kind, parts)
    await cache.aadd(name, 0, timeout=GUESS_WINDOW_S)
    try:
        return await cache.aincr(name)
    except ValueError:  # the window ended between the two
        return 1


async def guesses_forget(kind: str, *parts: str) -> None:
    await cache.adelete(_name(kind, parts))
