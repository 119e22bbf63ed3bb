"""Guesses at API keys: those of one network are answered slower and slower, keys that are right
are never in the way of it."""

import asyncio

from sessions.errors import TooManyRequestsError
from sessions.services.guesses import GUESS_WINDOW_S, guess_count

FREE_GUESSES = 30
"""Of one network in a window: a program that was given a revoked key tries a few times."""
PAUSE_S = 1.0
"""Before the answer to each guess beyond them."""


async def wrong_key_note(*, network: str) -> None:
    """Count a key that nobody has. Raises: TooManyRequestsError, after a pause, for one too many."""
    guesses = await guess_count("wrong-key", network)
    if guesses > FREE_GUESSES:
        await asyncio.sleep(PAUSE_S)
        raise TooManyRequestsError(
            "Too many requests with wrong API keys came from your network.",
            kind="requests",
            retry_after_s=min(GUESS_WINDOW_S, guesses),
        )
