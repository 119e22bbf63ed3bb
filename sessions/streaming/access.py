"""Whether the person behind a socket may still look, asked again while the socket is open."""

import time
import uuid
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from channels.auth import get_user
from django.conf import settings
from django.contrib.auth.models import User

from sessions import selectors
from sessions.models import Session

SESSION_CHECK_S = 2.0
USER_CHECK_S = 15.0

_store = import_module(settings.SESSION_ENGINE).SessionStore


async def current_user(scope: Mapping[str, Any]) -> User | None:
    """The signed-in user as the database knows them now; None after a sign-out elsewhere, a
    changed password or a deactivation."""
    cookie_session = scope.get("session")
    user: object = scope.get("user")
    if cookie_session is not None and cookie_session.session_key:
        # The scope's own copy was read when the socket opened and would never change.
        fresh = {"session": _store(cookie_session.session_key)}
        user = await get_user(cast("Any", fresh))
    elif isinstance(user, User):
        user = await User.objects.filter(pk=user.pk).afirst()
    return user if isinstance(user, User) and user.is_active else None


class SessionAccess:
    """Answers with the session as it is now, looking at most every `SESSION_CHECK_S`."""

    def __init__(self, scope: Mapping[str, Any], user: User, session: Session) -> None:
        self._scope = scope
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
            self._user_due = now + USER_CHECK_S
            user = await current_user(self._scope)
            if user is None:
                raise PermissionError("The user is not signed in any more.")
            self._user = user
        if now < self._session_due:
            return False
        self._session_due = now + SESSION_CHECK_S
        self.session = await selectors.session_get(user=self._user, session_id=self.session_id)
        return True
