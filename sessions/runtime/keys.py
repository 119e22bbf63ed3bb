"""The key that a request or a socket came with."""

from typing import Any

from sessions import services
from sessions.errors import NotPermittedError
from sessions.models import ApiKey
from sessions.runtime.callers import header, network_of


def bearer(authorization: str) -> str | None:
    """The secret of an `Authorization` header; None when it is of another kind."""
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


async def key_of(secret: str, *, network: str) -> ApiKey | None:
    """None when nobody has it. Raises: TooManyRequestsError for one guess too many."""
    key = await services.api_key_find(secret=secret)
    if key is None:
        await services.wrong_key_note(network=network)
    return key


async def socket_key(scope: dict[str, Any], *, needed: str) -> ApiKey | None:
    """Of a handshake, which counts as one of its requests; None without one that somebody has.
    Raises: TooManyRequestsError, NotPermittedError."""
    secret = bearer(header(scope, b"authorization"))
    if not secret:
        return None
    client = scope.get("client") or ("",)
    network = network_of(str(client[0]), header(scope, b"x-forwarded-for"))
    key = await key_of(secret, network=network)
    if key is not None:
        check_scope(key, needed)
        standing = await services.request_spend(key=key)
        if standing is not None and not standing.is_allowed:
            raise services.refusal("requests", standing)
    return key


def check_scope(key: ApiKey, scope: str) -> None:
    """Raises: NotPermittedError."""
    if not key.allows(scope):
        raise NotPermittedError(scope)
