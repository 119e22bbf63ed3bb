"""What programs may ask for in a minute and at a time, per key and per user over all keys."""

from typing import Literal

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.models import User

from sessions.errors import TooManyRequestsError
from sessions.models import ApiKey, ApiResponse
from sessions.services.allowances import (
    Allowances,
    Limit,
    Standing,
    allowance_charge_now,
    allowance_look_now,
)

Kind = Literal["requests", "tokens"]
UNFINISHED = (ApiResponse.Status.QUEUED, ApiResponse.Status.IN_PROGRESS)
ASK_AGAIN_S = 5
"""When to try again where a response has to end first: nobody knows when one will."""

_allowances = Allowances()


async def request_spend(*, key: ApiKey) -> Standing | None:
    """Count one request; how the tightest of its limits stands, None when it has none."""
    standings = []
    for limit in _limits("requests", key.user_id, key):
        standing = await _allowances.spend(limit)
        if not standing.is_allowed:
            return standing
        standings.append(standing)
    return min(standings, key=lambda standing: standing.remaining, default=None)


def has_token_limit(key: ApiKey) -> bool:
    return bool(_limits("tokens", key.user_id, key))


def tokens_standing_now(key: ApiKey) -> Standing | None:
    """For a thread that may use the database."""
    limits = _limits("tokens", key.user_id, key)
    standings = [allowance_look_now(limit) for limit in limits]
    return min(standings, key=lambda standing: standing.remaining, default=None)


def check_response_now(*, owner: User, key: ApiKey | None) -> None:
    """Whether one more response may begin. In the transaction that makes it: on Postgres the
    user's row keeps others of the same user waiting, SQLite has one writer anyway.

    Raises: TooManyRequestsError.
    """
    User.objects.select_for_update().get(pk=owner.pk)
    under_way = ApiResponse.objects.filter(owner=owner, status__in=UNFINISHED, deleted_at=None)
    _check_at_a_time(settings.BERTH_USER_MAX_RESPONSES, under_way.count(), "user")
    if key is not None:
        at_most = _own(key.max_responses, settings.BERTH_KEY_MAX_RESPONSES)
        _check_at_a_time(at_most, under_way.filter(api_key=key).count(), "API key")
    check_tokens_now(owner_id=owner.pk, key=key)


def check_tokens_now(*, owner_id: int, key: ApiKey | None) -> None:
    """Whether a model may be asked. Raises: TooManyRequestsError."""
    for limit in _limits("tokens", owner_id, key):
        standing = allowance_look_now(limit)
        if not standing.is_allowed:
            raise refusal("tokens", standing)


def tokens_charge_now(*, owner_id: int, key_id: int | None, tokens: int) -> None:
    """What a call of a model that ended has used."""
    if tokens > 0:
        key = ApiKey.objects.filter(id=key_id).first() if key_id is not None else None
        for limit in _limits("tokens", owner_id, key):
            allowance_charge_now(limit, tokens)


tokens_check = database_sync_to_async(check_tokens_now)
tokens_charge = database_sync_to_async(tokens_charge_now)


def refusal(kind: Kind, standing: Standing) -> TooManyRequestsError:
    limit = standing.limit
    return TooManyRequestsError(
        f"Rate limit reached for {limit.subject.split()[1]} on {kind} per min: "
        f"Limit {limit.per_minute}. Please try again in {duration(standing.retry_after_s)}.",
        kind=kind,
        retry_after_s=standing.retry_after_s,
    )


def duration(seconds: float) -> str:
    """`12ms`, `1s`, `6m0s`, as the hosted API writes them."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"


def _check_at_a_time(at_most: int, under_way: int, whose: str) -> None:
    if at_most and under_way >= at_most:
        raise TooManyRequestsError(
            f"Rate limit reached: this {whose} has {under_way} responses under way, of {at_most} "
            "at a time. Wait for one to end.",
            kind="requests",
            retry_after_s=ASK_AGAIN_S,
        )


def _limits(kind: Kind, user_id: int, key: ApiKey | None) -> list[Limit]:
    setting = f"{kind.upper()}_PER_MINUTE"
    found = []
    if key is not None:
        of_key = _own(
            getattr(key, f"{kind}_per_minute"), getattr(settings, f"BERTH_KEY_{setting}")
        )
        found.append(Limit(f"{kind} key {key.pk}", of_key))
    found.append(Limit(f"{kind} user {user_id}", getattr(settings, f"BERTH_USER_{setting}")))
    return [limit for limit in found if limit.per_minute > 0]


def _own(own: int | None, otherwise: int) -> int:
    return otherwise if own is None else own
