"""API keys, and the errors that Berth raises on purpose, both once for all views."""

import logging
import re
from collections.abc import Awaitable, Callable

from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import async_only_middleware

from sessions import services
from sessions.errors import BerthError
from sessions.web.http import error_response

logger = logging.getLogger(__name__)

KEY_PATHS = re.compile(r"/(|status/|healthz|sessions/.*)", re.DOTALL)
"""Where a key is taken. Not at the account, the admin or sign-in: a stolen key must not be able to
make more keys, set a password, or become a browser's session."""

OWN_DOOR = "/v1/"
"""Below it keys are asked for, and errors told, in the way of its own clients (sessions/api)."""


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
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or request.path_info.startswith(OWN_DOOR):
            return await self.get_response(request)
        request.COOKIES = {}
        request.key_user = None  # type: ignore[attr-defined]  # errors are JSON from here on
        if not KEY_PATHS.fullmatch(request.path_info):
            message = "API keys are not accepted here. Sign in with a browser."
            return error_response(request, status=403, message=message, code="key_not_accepted")
        user = await services.api_key_user(secret=secret.strip())
        if user is None:
            message = "This API key is unknown or has been revoked."
            refusal = error_response(request, status=401, message=message, code="unauthorized")
            refusal["WWW-Authenticate"] = "Bearer"
            return refusal
        request.key_user = user  # type: ignore[attr-defined]
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        response = await self.get_response(request)
        response.cookies.clear()
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
