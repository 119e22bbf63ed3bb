"""When a session was last made use of, and for how long it may rest before it is suspended."""

import datetime as dt

from django.utils import timezone

from sessions.errors import InvalidInputError
from sessions.events import bus
from sessions.models import Session

TOUCH_EVERY = dt.timedelta(seconds=10)
"""Use is noted at most this often: a look at a file must not each time cost a write."""
MIN_EXPIRES_AFTER_S = 60
MAX_EXPIRES_AFTER_S = 30 * 24 * 3600


async def session_touch(*, session: Session) -> None:
    """Somebody, or something, makes use of it."""
    now = timezone.now()
    stale = Session.objects.filter(id=session.id, last_active_at__lt=now - TOUCH_EVERY)
    if await stale.aupdate(last_active_at=now):
        await bus.notify(bus.session_topic(session.id))


async def session_keep(*, session: Session) -> None:
    """Let the time until it is suspended begin anew."""
    await Session.objects.filter(id=session.id).aupdate(last_active_at=timezone.now())
    await bus.notify(bus.session_topic(session.id))


async def session_set_expiry(*, session: Session, expires_after_s: int) -> None:
    """Suspend it after so many seconds without use; 0 for never. Raises: InvalidInputError."""
    if expires_after_s and not MIN_EXPIRES_AFTER_S <= expires_after_s <= MAX_EXPIRES_AFTER_S:
        raise InvalidInputError(
            "A session rests between a minute and 30 days before it is suspended, or for ever.",
            param="expires_after_s",
        )
    await Session.objects.filter(id=session.id).aupdate(
        expires_after_s=expires_after_s, last_active_at=timezone.now()
    )
    await bus.notify(bus.session_topic(session.id))
