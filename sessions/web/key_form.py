"""The form in which a person says what a new key may do, and how scopes read."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from sessions.errors import InvalidInputError
from sessions.models import ApiKey
from sessions.models.scopes import ALL, GROUPS, READ, READ_ONLY_GROUPS

LIVES = {"": "Never", "7": "In 7 days", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}
CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class NewKey:
    name: str
    scopes: tuple[str, ...]
    expires_in: dt.timedelta | None


def new_key(post: QueryDict) -> NewKey:
    """Raises: InvalidInputError."""
    days = post.get("expires", "")
    if days not in LIVES:
        raise InvalidInputError("Choose when the key expires.", param="expires")
    expires_in = dt.timedelta(days=int(days)) if days else None
    access = post.get("access", ALL)
    scopes: tuple[str, ...] = (access,)
    if access == CHOSEN:
        scopes = tuple(
            f"{group}.{chosen}" for group in GROUPS if (chosen := post.get(f"scope-{group}", ""))
        )
    return NewKey(post.get("name", ""), scopes, expires_in)


def form_context(post: QueryDict | None = None) -> dict[str, Any]:
    """What the form shows: nothing chosen, or what was sent and could not be taken."""
    sent = post if post is not None else QueryDict()
    return {
        "key_name": sent.get("name", ""),
        "key_access": sent.get("access", ALL),
        "key_expires": sent.get("expires", ""),
        "key_lives": LIVES,
        "key_groups": [
            {
                "name": group,
                "label": label,
                "is_read_only": group in READ_ONLY_GROUPS,
                "chosen": sent.get(f"scope-{group}", ""),
            }
            for group, label in GROUPS.items()
        ],
    }


def listed(keys: list[ApiKey]) -> list[dict[str, Any]]:
    """Those that work before those that do not."""
    return sorted(map(_shown, keys), key=lambda row: bool(row["state"] != "live"))


def _shown(key: ApiKey) -> dict[str, Any]:
    return {"key": key, "state": key.state, "scopes": [scope_words(one) for one in key.scopes]}


def scope_words(scope: str) -> str:
    if scope == ALL:
        return "Everything"
    if scope == READ:
        return "Read everything"
    group, _, access = scope.partition(".")
    label = GROUPS.get(group, group).partition(":")[0]
    return f"{label}: {access}"
