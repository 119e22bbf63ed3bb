"""The key that a request or a socket came with."""

from sessions import services
from sessions.errors import NotPermittedError
from sessions.models import ApiKey


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


def check_scope(key: ApiKey, scope: str) -> None:
    """Raises: NotPermittedError."""
    if not key.allows(scope):
        raise NotPermittedError(scope)
