"""Who may come in: sign-in links, API keys, the first administrator."""

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Collection

from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils import timezone

from sessions.errors import InvalidInputError, NotFoundError
from sessions.models import ApiKey, SignInLink
from sessions.models.scopes import ALL, normalised

SIGN_IN_LINK_LIFE = dt.timedelta(hours=1)
KEY_USE_NOTED_EVERY = dt.timedelta(minutes=1)
LONGEST_KEY_LIFE = dt.timedelta(days=3650)
SECRET = re.compile(r"berth_[A-Za-z0-9_-]{43}")
"""What is not of this form needs no look at the database."""


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


async def api_key_create(
    *,
    user: User,
    name: str,
    scopes: Collection[str] = (ALL,),
    expires_in: dt.timedelta | None = None,
) -> tuple[ApiKey, str]:
    """The key's row and its secret, which is not kept. `scopes` as in models/scopes.py.

    Raises: InvalidInputError.
    """
    name = name.strip()[:100]
    if not name:
        raise InvalidInputError("Give the key a name.", param="name")
    if not scopes:
        raise InvalidInputError("Choose what the key may do.", param="scopes")
    if expires_in is not None and not dt.timedelta(0) < expires_in <= LONGEST_KEY_LIFE:
        message = f"A key lives for up to {LONGEST_KEY_LIFE.days} days, or without end."
        raise InvalidInputError(message, param="expires")
    try:
        granted = normalised(scopes)
    except ValueError as error:
        raise InvalidInputError(f"There is no scope {error}.", param="scopes") from error
    secret = f"berth_{secrets.token_urlsafe(32)}"
    key = await ApiKey.objects.acreate(
        user=user,
        name=name,
        prefix=secret[:12],
        key_hash=_hash(secret),
        scopes=granted,
        expires_at=None if expires_in is None else timezone.now() + expires_in,
    )
    return key, secret


async def api_key_find(*, secret: str) -> ApiKey | None:
    """The key with its user; None when it is unknown, revoked or expired, or its user not active.

    Notes the use, at most once in `KEY_USE_NOTED_EVERY`: reads must not each cost a write.
    """
    if not SECRET.fullmatch(secret):
        return None
    key = await _live_keys().filter(key_hash=_hash(secret)).select_related("user").afirst()
    if key is None:
        return None
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at <= now - KEY_USE_NOTED_EVERY:
        await ApiKey.objects.filter(id=key.pk).aupdate(last_used_at=now)
    return key


async def api_key_is_of(*, user: User, secret: str) -> bool:
    """Whether it is a key of the user's that works. Notes no use."""
    return await _live_keys().filter(user=user, key_hash=_hash(secret)).aexists()


async def api_key_still_live(*, key_id: int) -> User | None:
    """The user of a key that was found before; None as for `api_key_find`."""
    key = await _live_keys().filter(id=key_id).select_related("user").afirst()
    return key.user if key is not None else None


def _live_keys() -> QuerySet[ApiKey]:
    is_in_time = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return ApiKey.objects.filter(is_in_time, revoked_at=None, user__is_active=True)


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
