"""What Django shows when it refuses a request itself. Called outside the event loop."""

from django.core.exceptions import RequestDataTooBig, TooManyFilesSent
from django.http import HttpRequest, HttpResponse

from sessions.web.http import error_response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        message = "The text is too long. Upload it as a file instead."
        return error_response(request, status=413, message=message, code="too_large")
    if isinstance(exception, TooManyFilesSent):
        message = "Too many files at once. Send them as one archive instead."
        return error_response(request, status=413, message=message, code="too_many_files")
    message = "The request is not one Berth understands."
    return error_response(request, status=400, message=message, code="bad_request")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    message = "You may not do this with this account."
    return error_response(request, status=403, message=message, code="forbidden")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    message = "There is nothing at this address, or it is not yours."
    return error_response(request, status=404, message=message, code="not_found")


def server_error(request: HttpRequest) -> HttpResponse:
    message = "The error has been written to the server's log. Trying again may help."
    return error_response(request, status=500, message=message, code="internal_error")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return error_response(
        request,
        status=403,
        message="This page is out of date or did not come from Berth, so nothing was changed.",
        hint="Reload the page and try again. Cookies must be allowed.",
        code="csrf_failed",
    )
