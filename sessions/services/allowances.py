"""How much may still be taken of a limit per minute, whichever process is asked.

A limit is a bucket that holds a minute's worth and fills up evenly. One row says when it will be
full again; a process takes a part of it at a time and spends that from memory, so that a request
seldom costs a write. All processes together never spend more than the limit and what they hold,
which is one in a hundred of it each.
"""

import threading
import time
from dataclasses import dataclass

from channels.db import database_sync_to_async
from django.db import transaction

from sessions.models import Allowance

MINUTE_US = 60_000_000
PARTS = 100
"""A process takes one of so many parts of a limit at a time."""
MAX_HELD = 10_000


@dataclass(frozen=True, slots=True)
class Limit:
    subject: str
    """What is counted and of whom."""
    per_minute: int
    """At least 1."""

    @property
    def interval_us(self) -> float:
        return MINUTE_US / self.per_minute


@dataclass(frozen=True, slots=True)
class Standing:
    """How a limit stood when it was last looked at."""

    limit: Limit
    is_allowed: bool
    remaining: int
    reset_s: float
    """Until all of it is there again."""
    retry_after_s: float = 0.0
    """Until one more is allowed; 0 when one is."""


@dataclass(slots=True)
class _Held:
    left: int = 0
    free_at_us: int = 0
    refused_until_us: int = 0


class Allowances:
    """What one process holds. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Limit, _Held] = {}

    async def spend(self, limit: Limit) -> Standing:
        """One of it, if there is one."""
        return self._spend_held(limit) or await database_sync_to_async(self._take_and_spend)(limit)

    def _spend_held(self, limit: Limit) -> Standing | None:
        """None when the database has to be asked."""
        now_us = _now_us()
        with self._lock:
            held = self._held.get(limit)
            if held is None:
                return None
            if held.left:
                held.left -= 1
                return _standing(limit, held.free_at_us, now_us, held.left, is_allowed=True)
            if now_us < held.refused_until_us:
                return _standing(limit, held.free_at_us, now_us, 0, is_allowed=False)
        return None

    def _take_and_spend(self, limit: Limit) -> Standing:
        # Those who waited for the same thread find what the first of them took.
        standing = self._spend_held(limit)
        if standing is not None:
            return standing
        taken, free_at_us = allowance_take_now(limit, at_most=max(1, limit.per_minute // PARTS))
        now_us = _now_us()
        with self._lock:
            if len(self._held) >= MAX_HELD:
                self._held.clear()
            held = self._held.setdefault(limit, _Held())
            held.free_at_us = free_at_us
            if not taken:
                held.refused_until_us = free_at_us - MINUTE_US + round(limit.interval_us)
                return _standing(limit, free_at_us, now_us, held.left, is_allowed=False)
            held.left += taken - 1
            return _standing(limit, free_at_us, now_us, held.left, is_allowed=True)


def allowance_take_now(limit: Limit, *, at_most: int) -> tuple[int, int]:
    """How many were taken, and when all is there again. For a thread that may use the database."""
    now_us = _now_us()
    with transaction.atomic():
        row, _ = Allowance.objects.select_for_update().get_or_create(
            subject=limit.subject, defaults={"free_at_us": now_us}
        )
        # A row of a limit that was lower may stand further ahead than a minute.
        free_at_us = min(max(row.free_at_us, now_us), now_us + MINUTE_US)
        room = int((now_us + MINUTE_US - free_at_us) / limit.interval_us)
        taken = min(room, at_most)
        if taken:
            # Rounded down: each of a minute's worth has to fit.
            free_at_us += int(taken * limit.interval_us)
            Allowance.objects.filter(subject=limit.subject).update(free_at_us=free_at_us)
    return taken, free_at_us


def allowance_look_now(limit: Limit) -> Standing:
    """Without taking any. For a thread that may use the database."""
    now_us = _now_us()
    row = Allowance.objects.filter(subject=limit.subject).first()
    free_at_us = row.free_at_us if row is not None else now_us
    is_allowed = free_at_us <= now_us + MINUTE_US - limit.interval_us
    return _standing(limit, free_at_us, now_us, 0, is_allowed=is_allowed)


def allowance_charge_now(limit: Limit, count: int) -> None:
    """What is known only afterwards: it may go beyond what was left, and is waited for then. For a
    thread that may use the database."""
    now_us = _now_us()
    with transaction.atomic():
        row, _ = Allowance.objects.select_for_update().get_or_create(
            subject=limit.subject, defaults={"free_at_us": now_us}
        )
        free_at_us = max(row.free_at_us, now_us) + round(count * limit.interval_us)
        Allowance.objects.filter(subject=limit.subject).update(free_at_us=free_at_us)


async def allowances_forget() -> None:
    """Remove rows that say no more than none would."""
    await Allowance.objects.filter(free_at_us__lt=_now_us() - MINUTE_US).adelete()


def _standing(
    limit: Limit, free_at_us: int, now_us: int, held: int, *, is_allowed: bool
) -> Standing:
    room = int((now_us + MINUTE_US - max(free_at_us, now_us)) / limit.interval_us)
    wait_us = free_at_us - MINUTE_US + limit.interval_us - now_us
    # What is held was taken, and is there all the same.
    reset_us = max(0.0, free_at_us - now_us - held * limit.interval_us)
    return Standing(
        limit,
        is_allowed,
        remaining=max(0, min(limit.per_minute, room + held)),
        reset_s=reset_us / 1e6,
        retry_after_s=0.0 if is_allowed else max(0.0, wait_us / 1e6),
    )


def _now_us() -> int:
    return time.time_ns() // 1000
