"""Whether the person behind a socket may still look, asked again while the socket is open."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from channels.auth import get_user
from django.conf import settings
from django.contrib.auth.models import User

from sessions import selectors
from sessions.errors import NotFoundError
from sessions.models import Session
from sessions.streaming.shared_look import SharedLook

SESSION_CHECK_S = 2.0
USER_CHECK_S = 15.0

_store = import_module(settings.SESSION_ENGINE).SessionStore


async def current_user(scope: Mapping[str, Any]) -> User | None:
    """The signed-in user as the database knows them now; None after a sign-out elsewhere, a
    changed password or a deactivation."""
    return await _user_behind(_credentials(scope))


@dataclass(frozen=True, slots=True)
class _Credentials:
    """What a socket came with: the key of a cookie session, else a user."""

    session_key: str | None
    user_pk: int | None


def _credentials(scope: Mapping[str, Any]) -> _Credentials:
    cookie_session = scope.get("session")
    user: object = scope.get("user")
    return _Credentials(
        session_key=cookie_session.session_key if cookie_session is not None else None,
        user_pk=user.pk if isinstance(user, User) else None,
    )


async def _user_behind(credentials: _Credentials) -> User | None:
    user: object = None
    if credentials.session_key:
        # The scope's own copy was read when the socket opened and would never change.
        fresh = {"session": _store(credentials.session_key)}
        user = await get_user(cast("Any", fresh))
    elif credentials.user_pk is not None:
        user = await User.objects.filter(pk=credentials.user_pk).afirst()
    return user if isinstance(user, User) and user.is_active else None


_users = SharedLook(_user_behind)
_rows = SharedLook(selectors.session_row)


class SessionAccess:
    """Answers with the session as it is now, looking at most every `SESSION_CHECK_S`. The looks
    are shared by all sockets of this process: what one is told was read up to half as long ago."""

    def __init__(self, scope: Mapping[str, Any], user: User, session: Session) -> None:
        self._credentials = _credentials(scope)
        self._user = user
        self.session = session
        self._session_due = time.monotonic() + SESSION_CHECK_S
        self._user_due = time.monotonic() + USER_CHECK_S

    @property
    def session_id(self) -> uuid.UUID:
        return self.session.id

    async def refresh(self) -> bool:
        """Look again if it is time; True when the session's row was read.

        Raises: NotFoundError when the session is gone, PermissionError when the user is.
        """
        now = time.monotonic()
        if now >= self._user_due:
            read_at, user = await _users.get(self._credentials, max_age_s=USER_CHECK_S / 2)
            if user is None:
                raise PermissionError("The user is not signed in any more.")
            # From the moment of the look, so that the sockets come to look at the same time.
            self._user, self._user_due = user, read_at + USER_CHECK_S
        if now < self._session_due:
            return False
        read_at, session = await _rows.get(self.session_id, max_age_s=SESSION_CHECK_S / 2)
        if session is None or not selectors.may_see(self._user, session):
            raise NotFoundError("There is no such session.")
        self.session, self._session_due = session, read_at + SESSION_CHECK_S
        return True
