"""Guesses at API keys: those of one network are answered slower and slower, keys that are right
are never in the way of it."""

import asyncio
import hashlib

from django.core.cache import cache

from sessions.errors import TooManyRequestsError

WINDOW_S = 300
FREE_GUESSES = 30
"""Of one network in a window: a program that was given a revoked key tries a few times."""
PAUSE_S = 1.0
"""Before the answer to each guess beyond them."""


async def wrong_key_note(*, network: str) -> None:
    """Count a key that nobody has. Raises: TooManyRequestsError, after a pause, for one too many."""
    name = "wrong-key:" + hashlib.sha256(network.encode()).hexdigest()
    await cache.aadd(name, 0, timeout=WINDOW_S)
    try:
        guesses = await cache.aincr(name)
    except ValueError:  # the window ended between the two
        return
    if guesses > FREE_GUESSES:
        await asyncio.sleep(PAUSE_S)
        raise TooManyRequestsError(
            "Too many requests with wrong API keys came from your network.",
            kind="requests",
            retry_after_s=min(WINDOW_S, guesses),
        )
