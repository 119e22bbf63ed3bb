"""How often a password may be guessed.

Counted per user name and address, so that nobody can lock another person out, and per address,
so that one machine cannot try many names. Every attempt is counted before the password is looked
at: attempts sent at the same time cannot slip past.
"""

import hashlib

from django.core.cache import cache
from django.http import HttpRequest

from sessions.runtime.callers import client_network

WINDOW_S = 300
ATTEMPTS_PER_NAME = 5
ATTEMPTS_PER_ADDRESS = 30


async def attempt_is_allowed(request: HttpRequest, username: str) -> bool:
    """Count one attempt; False when there were too many within `WINDOW_S`."""
    address = client_network(request)
    per_address = await _count(_key(address))
    per_name = await _count(_key(address, username))
    return per_address <= ATTEMPTS_PER_ADDRESS and per_name <= ATTEMPTS_PER_NAME


async def attempts_forget(request: HttpRequest, username: str) -> None:
    """The right password was given: earlier slips no longer count."""
    await cache.adelete(_key(client_network(request), username))


def _key(*parts: str) -> str:
    return "sign-in:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()


async def _count(key: str) -> int:
    await cache.aadd(key, 0, timeout=WINDOW_S)
    try:
        return await cache.aincr(key)
    except ValueError:  # the window ended between the two
        return 1
