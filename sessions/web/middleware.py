"""API keys, and the errors that Berth raises on purpose, both once for all views."""

import logging
import re
from collections.abc import Awaitable, Callable

from asgiref.sync import markcoroutinefunction
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import async_only_middleware

from sessions import services
from sessions.errors import BerthError, TooManyRequestsError
from sessions.models.scopes import access_of
from sessions.runtime.callers import client_network
from sessions.runtime.keys import bearer, check_scope, key_of
from sessions.web.http import error_response

logger = logging.getLogger(__name__)

KEY_PATHS = re.compile(r"/(|status/|healthz|sessions/.*)", re.DOTALL)
"""Where a key is taken. Not at the account, the admin or sign-in: a stolen key must not be able to
make more keys, set a password, or become a browser's session."""

OWN_DOOR = "/v1/"
"""Below it keys are asked for, and errors told, in the way of its own clients (sessions/api)."""


class KeyNotAcceptedError(BerthError):
    code = "key_not_accepted"
    status = 403


class KeyUnknownError(BerthError):
    code = "unauthorized"
    status = 401


@async_only_middleware
class ApiKeyMiddleware:
    """`Authorization: Bearer KEY` makes a request its user's, without any cookie.

    Stands before sessions and CSRF. Cookies that came along are dropped unread, and none is set:
    so a browser's power is never mixed in, and there is nothing for a CSRF token to protect.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        secret = bearer(request.headers.get("Authorization", ""))
        if secret is None or request.path_info.startswith(OWN_DOOR):
            return await self.get_response(request)
        request.COOKIES = {}
        request.key_user = None  # type: ignore[attr-defined]  # errors are JSON from here on
        try:
            request.key_user = await self._user_of(request, secret)  # type: ignore[attr-defined]
        except BerthError as error:
            return _refusal(request, error)
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        response = await self.get_response(request)
        response.cookies.clear()
        return response

    async def _user_of(self, request: HttpRequest, secret: str) -> User:
        """Raises: KeyNotAcceptedError, KeyUnknownError, TooManyRequestsError, NotPermittedError."""
        if not KEY_PATHS.fullmatch(request.path_info):
            raise KeyNotAcceptedError("API keys are not accepted here. Sign in with a browser.")
        key = await key_of(secret, network=client_network(request))
        if key is None:
            raise KeyUnknownError("This API key is unknown, has expired or has been revoked.")
        check_scope(key, f"sessions.{access_of(request.method)}")
        standing = await services.request_spend(key=key)
        if standing is not None and not standing.is_allowed:
            raise services.refusal("requests", standing)
        return key.user


def _refusal(request: HttpRequest, error: BerthError) -> HttpResponse:
    response = error_response(request, status=error.status, message=error.message, code=error.code)
    if isinstance(error, KeyUnknownError):
        response["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyRequestsError):
        response["Retry-After"] = str(error.retry_after_s)
    return response


@async_only_middleware
class ErrorPagesMiddleware:
    """Async only, so that a request costs no hop to a thread here. Django itself runs
    `process_exception` in one, whichever kind it is."""

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return await self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, BerthError):
            return None
        if exception.status >= 500:
            # The path only: queries name files, and bodies are private.
            logger.warning("%s: %s: %s", request.path, exception.code, exception.message)
        return error_response(
            request,
            status=exception.status,
            message=exception.message,
            code=exception.code,
            param=exception.param,
            hint=getattr(exception, "hint", ""),
        )
