"""Ask again after failures that pass, and say so each time."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from sessions.errors import ProviderError
from sessions.providers.base import Delta, Retrying
from sessions.providers.endpoint import RetryPolicy


class PassingFailure(Exception):  # noqa: N818  (it becomes an error only when it does not pass)
    """Worth another attempt. `error` is raised when there is none left."""

    def __init__(self, reason: str, error: ProviderError, server_wait_s: float | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error
        self.server_wait_s = server_wait_s


async def with_retries(
    attempt: Callable[[], AsyncGenerator[Delta, None]], policy: RetryPolicy
) -> AsyncGenerator[Delta, None]:
    """The deltas of the first attempt that comes to its end, with those of the failed ones and a
    `Retrying` before it. An attempt must not yield an item before its answer is complete, so that
    nothing was acted upon when it is repeated. Raises: ProviderError."""
    for number in range(1, policy.attempts + 1):
        try:
            async with aclosing(attempt()) as deltas:
                async for delta in deltas:
                    yield delta
        except PassingFailure as failure:
            if number == policy.attempts:
                raise failure.error from failure
            wait_s = wait_before_retry(number, failure.server_wait_s, policy)
            if wait_s is None:
                raise failure.error from failure
            yield Retrying(attempt=number, wait_s=round(wait_s, 3), reason=failure.reason)
            await asyncio.sleep(wait_s)
        else:
            return


def wait_before_retry(
    number: int, server_wait_s: float | None, policy: RetryPolicy
) -> float | None:
    """Seconds to wait after attempt `number`; None when the server asks for too long."""
    if server_wait_s is not None:
        return server_wait_s if server_wait_s <= policy.longest_server_wait_s else None
    wait_s = min(policy.first_wait_s * 2.0 ** (number - 1), policy.longest_wait_s)
    return wait_s * random.uniform(0.75, 1.0)  # noqa: S311  (spreads requests, guards nothing)
