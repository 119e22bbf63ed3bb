"""How fast the commands of one connection may print."""

from sessions.sandbox.guest.token_bucket import TokenBucket

BURST_BYTES = 16 * 1024 * 1024
BYTES_PER_S = 64_000_000
"""A flood passes through guest, shim, engine and host. At full speed it takes all of two cores, and
whatever its neighbours do waits; docs/decisions/0017-floods-are-paced.md has the figures."""


def output_bucket() -> TokenBucket:
    """A token is a byte."""
    return TokenBucket(burst=BURST_BYTES, per_s=BYTES_PER_S)
