"""Who may come in: sign-in links, API keys, the first administrator."""

import datetime as dt
import hashlib
import secrets

from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils import timezone

from sessions.errors import InvalidInputError, NotFoundError
from sessions.models import ApiKey, SignInLink

SIGN_IN_LINK_LIFE = dt.timedelta(hours=1)
KEY_USE_NOTED_EVERY = dt.timedelta(minutes=1)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


async def sign_in_link_create(*, user: User) -> str:
    """The token of a link that signs `user` in once within `SIGN_IN_LINK_LIFE`."""
    token = secrets.token_urlsafe(32)
    await SignInLink.objects.acreate(
        user=user, token_hash=_hash(token), expires_at=timezone.now() + SIGN_IN_LINK_LIFE
    )
    return token


async def sign_in_link_use(*, token: str) -> User:
    """The link's user; it works once. Raises: NotFoundError for all but a fresh link."""
    now = timezone.now()
    links = SignInLink.objects.filter(
        token_hash=_hash(token), used_at=None, expires_at__gt=now, user__is_active=True
    )
    link = await links.select_related("user").afirst()
    if link is None or not await links.filter(id=link.id).aupdate(used_at=now):
        raise NotFoundError("This link has been used or has expired.")
    return link.user


async def sign_in_link_is_fresh(*, token: str) -> bool:
    return await SignInLink.objects.filter(
        token_hash=_hash(token), used_at=None, expires_at__gt=timezone.now(), user__is_active=True
    ).aexists()


async def api_key_create(*, user: User, name: str) -> tuple[ApiKey, str]:
    """The key's row and its secret, which is not kept. Raises: InvalidInputError."""
    name = name.strip()[:100]
    if not name:
        raise InvalidInputError("Give the key a name.", param="name")
    secret = f"berth_{secrets.token_urlsafe(32)}"
    key = await ApiKey.objects.acreate(
        user=user, name=name, prefix=secret[:12], key_hash=_hash(secret)
    )
    return key, secret


async def api_key_user(*, secret: str) -> User | None:
    """Whose key this is; None when it is unknown or revoked, or its user is not active.

    Notes the use, at most once in `KEY_USE_NOTED_EVERY`: reads must not each cost a write.
    """
    keys = ApiKey.objects.filter(key_hash=_hash(secret), revoked_at=None, user__is_active=True)
    key = await keys.select_related("user").afirst()
    if key is None:
        return None
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at <= now - KEY_USE_NOTED_EVERY:
        await keys.aupdate(last_used_at=now)
    return key.user


async def api_key_revoke(*, user: User, key_id: int) -> None:
    """Raises: NotFoundError."""
    revoked = await ApiKey.objects.filter(user=user, id=key_id, revoked_at=None).aupdate(
        revoked_at=timezone.now()
    )
    if not revoked:
        raise NotFoundError("There is no such key.")


@database_sync_to_async
def admin_ensure() -> User:
    """The first administrator, made without a password when there is none."""
    users = get_user_model().objects
    admin = users.filter(is_staff=True, is_active=True).order_by("id").first()
    if admin is None:
        taken = set(users.values_list("username", flat=True))
        names = ("admin", *(f"admin{number}" for number in range(2, len(taken) + 3)))
        admin = users.create_superuser(next(name for name in names if name not in taken))
    assert isinstance(admin, User)
    return admin
