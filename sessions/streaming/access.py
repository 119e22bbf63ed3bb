"""Whether the person behind a socket may still look, asked again while the socket is open."""

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, cast
from weakref import WeakKeyDictionary, WeakSet

from channels.auth import get_user
from django.conf import settings
from django.contrib.auth.models import User

from sessions import selectors, services
from sessions.errors import NotFoundError
from sessions.models import ApiKey, Session
from sessions.streaming.shared_look import SharedLook

logger = logging.getLogger(__name__)

SESSION_CHECK_S = 2.0
USER_CHECK_S = 15.0

_store = import_module(settings.SESSION_ENGINE).SessionStore


async def current_user(scope: Mapping[str, Any]) -> User | None:
    """The signed-in user as the database knows them now; None after a sign-out elsewhere, a
    changed password, a deactivation, or the end of an API key."""
    return await _user_behind(_credentials(scope))


@dataclass(frozen=True, slots=True)
class _Credentials:
    """What a socket came with: an API key, else the key of a cookie session, else a user."""

    session_key: str | None
    user_pk: int | None
    key_id: int | None = None
    """Of an API key, which then counts alone."""


def _credentials(scope: Mapping[str, Any]) -> _Credentials:
    api_key = scope.get("api_key")
    if isinstance(api_key, ApiKey):
        return _Credentials(None, None, key_id=api_key.pk)
    cookie_session = scope.get("session")
    user: object = scope.get("user")
    return _Credentials(
        session_key=cookie_session.session_key if cookie_session is not None else None,
        user_pk=user.pk if isinstance(user, User) else None,
    )


async def _user_behind(credentials: _Credentials) -> User | None:
    user: object = None
    if credentials.key_id is not None:
        user = await services.api_key_still_live(key_id=credentials.key_id)
    elif credentials.session_key:
        # The scope's own copy was read when the socket opened and would never change.
        fresh = {"session": _store(credentials.session_key)}
        user = await get_user(cast("Any", fresh))
    elif credentials.user_pk is not None:
        user = await User.objects.filter(pk=credentials.user_pk).afirst()
    return user if isinstance(user, User) and user.is_active else None


_users = SharedLook(_user_behind)


class SessionAccess:
    """Answers with the session as it was at most `SESSION_CHECK_S` ago. One look at the database
    is for all sockets of this process: see `_look_again_and_again`."""

    def __init__(self, scope: Mapping[str, Any], user: User, session: Session) -> None:
        self._credentials = _credentials(scope)
        self._user = user
        self.session = session
        self._news: list[Session | None] = []
        """The row as last read, until `refresh` takes it; None when it was gone."""
        self._user_due = time.monotonic() + USER_CHECK_S
        _look_for(self)

    @property
    def session_id(self) -> uuid.UUID:
        return self.session.id

    def looked(self, session: Session | None) -> None:
        self._news = [session]

    async def refresh(self) -> bool:
        """True when the session's row was read since the last call.

        Raises: NotFoundError when the session is gone, PermissionError when the user is.
        """
        if time.monotonic() >= self._user_due:
            read_at, user = await _users.get(self._credentials, max_age_s=USER_CHECK_S / 2)
            if user is None:
                raise PermissionError("The user is not signed in any more.")
            # From the moment of the look, so that the sockets come to look at the same time.
            self._user, self._user_due = user, read_at + USER_CHECK_S
        if not self._news:
            return False
        session = self._news.pop()
        if session is None or not selectors.may_see(self._user, session):
            raise NotFoundError("There is no such session.")
        self.session = session
        return True


@dataclass(slots=True)
class _Looked:
    """All that are open on one event loop, and the task that looks for them."""

    accesses: "WeakSet[SessionAccess]" = field(default_factory=WeakSet)
    task: asyncio.Task[None] | None = None


_looked_of: WeakKeyDictionary[asyncio.AbstractEventLoop, _Looked] = WeakKeyDictionary()


def _look_for(access: SessionAccess) -> None:
    looked = _looked_of.setdefault(asyncio.get_running_loop(), _Looked())
    looked.accesses.add(access)
    if looked.task is None or looked.task.done():
        looked.task = asyncio.create_task(_look_again_and_again(looked.accesses))


async def _look_again_and_again(accesses: "WeakSet[SessionAccess]") -> None:
    """Ends with the last of them. A thousand viewers of two hundred sessions who each read their
    session's row for themselves took a third of a core."""
    while accesses:
        await asyncio.sleep(SESSION_CHECK_S)
        try:
            await _look(list(accesses))
        except Exception:  # of the database; whoever reads the log meets it as well
            logger.exception("the rows of followed sessions were not read")


async def _look(accesses: Sequence[SessionAccess]) -> None:
    rows = await selectors.session_rows({access.session_id for access in accesses})
    for access in accesses:
        access.looked(rows.get(access.session_id))
