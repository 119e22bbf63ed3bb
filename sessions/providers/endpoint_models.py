"""Which models an endpoint has, as its own list says, remembered for a while."""

import asyncio
import logging
import time
from collections.abc import Sequence

from sessions.errors import ProviderError
from sessions.providers.endpoint import Endpoint
from sessions.providers.openai_errors import connected
from sessions.providers.retry import PassingFailure

logger = logging.getLogger(__name__)

KEPT_S = 300.0
FAILURE_KEPT_S = 30.0
WAIT_S = 3.0
MAX_NAMES = 5000
MAX_NAME_LENGTH = 200


class EndpointModels:
    """Asked for by one caller at a time; the others wait for the same answer."""

    def __init__(self, endpoint: Endpoint, *, wait_s: float = WAIT_S) -> None:
        self._endpoint = endpoint
        self._wait_s = wait_s
        self._names: tuple[str, ...] | None = None
        self._good_until = 0.0
        self._lock = asyncio.Lock()

    async def names(self) -> Sequence[str] | None:
        """In the endpoint's order; None when it does not tell, or not in time. A list that was had
        once is better than none."""
        async with self._lock:
            if time.monotonic() < self._good_until:
                return self._names
            try:
                async with asyncio.timeout(self._wait_s):
                    self._names = await self._ask()
                kept_s = KEPT_S
            except (ProviderError, PassingFailure, TimeoutError, ValueError) as error:
                logger.info("the endpoint's list of models was not had: %s", error)
                kept_s = FAILURE_KEPT_S
            self._good_until = time.monotonic() + kept_s
            return self._names

    async def _ask(self) -> tuple[str, ...]:
        names: list[str] = []
        async with connected(self._endpoint, "") as client:
            async for found in client.models.list():
                name = str(found.id)
                if len(name) <= MAX_NAME_LENGTH:
                    names.append(name)
                if len(names) >= MAX_NAMES:
                    break
        return tuple(names)
