"""How often a password may be guessed.

Counted per user name and address, so that nobody can lock another person out, and per address,
so that one machine cannot try many names. Every attempt is counted before the password is looked
at: attempts sent at the same time cannot slip past.
"""

from django.http import HttpRequest

from sessions import services
from sessions.runtime.callers import client_network

KIND = "sign-in"
ATTEMPTS_PER_NAME = 5
ATTEMPTS_PER_ADDRESS = 30


async def attempt_is_allowed(request: HttpRequest, username: str) -> bool:
    """Count one attempt; False when there were too many in a while."""
    address = client_network(request)
    per_address = await services.guess_count(KIND, address)
    per_name = await services.guess_count(KIND, address, username)
    return per_address <= ATTEMPTS_PER_ADDRESS and per_name <= ATTEMPTS_PER_NAME


async def attempts_forget(request: HttpRequest, username: str) -> None:
    """The right password was given: earlier slips no longer count."""
    await services.guesses_forget(KIND, client_network(request), username)
