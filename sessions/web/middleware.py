"""Errors that Berth raises on purpose, rendered once for all views."""

import logging
from collections.abc import Awaitable, Callable

from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import async_only_middleware

from sessions.errors import BerthError
from sessions.web.http import error_response

logger = logging.getLogger(__name__)


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
