"""Limits of requests and tokens per minute, and the headers that tell of them."""

from channels.db import database_sync_to_async
from django.http import HttpRequest

from sessions import services
from sessions.models import ApiKey
from sessions.services.allowances import Standing
from sessions.services.rate_limits import has_token_limit

_HEADERS = "rate_headers"


async def spend_request(request: HttpRequest, key: ApiKey) -> None:
    """Count it, and keep for its answer how the limits stand. Raises: TooManyRequestsError."""
    standing = await services.request_spend(key=key)
    headers = _headers("requests", standing)
    if has_token_limit(key):
        tokens = await database_sync_to_async(services.tokens_standing_now)(key)
        headers |= _headers("tokens", tokens)
    setattr(request, _HEADERS, headers)
    if standing is not None and not standing.is_allowed:
        raise services.refusal("requests", standing)


def rate_headers_of(request: HttpRequest) -> dict[str, str]:
    """Empty without a key that counts."""
    headers: dict[str, str] = getattr(request, _HEADERS, {})
    return headers


def _headers(kind: str, standing: Standing | None) -> dict[str, str]:
    if standing is None:
        return {}
    return {
        f"x-ratelimit-limit-{kind}": str(standing.limit.per_minute),
        f"x-ratelimit-remaining-{kind}": str(standing.remaining),
        f"x-ratelimit-reset-{kind}": services.duration(standing.reset_s),
    }
