"""How much of something may happen at once, and how much in the long run."""

from __future__ import annotations

import time


class TokenBucket:
    """Holds up to `burst` tokens and gets `per_s` more each second. It may be overdrawn."""

    def __init__(self, *, burst: float, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._tokens = burst
        self._at = time.monotonic()

    def take(self, tokens: float) -> None:
        self._refill()
        self._tokens -= tokens

    def wait_s(self) -> float:
        """Seconds until there is something in it; 0 when there is."""
        self._refill()
        return max(0.0, -self._tokens / self._per_s)

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
