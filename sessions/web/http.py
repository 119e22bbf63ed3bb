"""What every view shares: the signed-in request, and errors in the shape the caller reads."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

P = ParamSpec("P")


class UserHttpRequest(HttpRequest):
    """A request whose sender is known. Only `signed_in` makes one."""

    user: User
    viewer: User
    """The same user, for templates: unlike `user` it is never loaded lazily, only set."""
    htmx: HtmxDetails


def key_user(request: HttpRequest) -> User | None:
    """Whose API key the request carries; set by `ApiKeyMiddleware` alone."""
    user = getattr(request, "key_user", None)
    return user if isinstance(user, User) else None


def signed_in(
    view: Callable[Concatenate[UserHttpRequest, P], Awaitable[HttpResponseBase]],
) -> Callable[Concatenate[HttpRequest, P], Coroutine[Any, Any, HttpResponseBase]]:
    """Let only signed-in people in, and keep what they see out of every cache."""

    @wraps(view)
    async def wrapper(
        request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        user = key_user(request) or await request.auser()
        if not isinstance(user, User) or not user.is_active:
            return sign_in_required(request)
        request.user = user
        request.viewer = user  # type: ignore[attr-defined]  # what makes it a UserHttpRequest
        response = await view(request, *args, **kwargs)  # type: ignore[arg-type]
        return uncached(response)

    return wrapper


def uncached(response: HttpResponseBase) -> HttpResponseBase:
    """Private to this browser, unless the view said something of its own about caching."""
    if not response.has_header("Cache-Control"):
        response["Cache-Control"] = "no-store"
    return response


def sign_in_required(request: HttpRequest) -> HttpResponseBase:
    """Send the browser to the sign-in page and back here afterwards; programs get 401."""
    if wants_json(request):
        return error_response(request, status=401, message="Sign in first.", code="unauthorized")
    if is_htmx(request):
        back = urlsplit(request.headers.get("HX-Current-URL", ""))
        url = redirect_to_login(back.path or "/").url
        return uncached(HttpResponse(headers={"HX-Redirect": url}))
    return uncached(redirect_to_login(request.get_full_path()))


def safe_next(request: HttpRequest, wanted: str) -> str:
    """`wanted` if it is a page of this app, the dashboard otherwise."""
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_ours else resolve_url("dashboard")


def is_htmx(request: HttpRequest) -> bool:
    # The header itself: errors may be rendered before HtmxMiddleware has run.
    return request.headers.get("HX-Request") == "true"


def wants_json(request: HttpRequest) -> bool:
    """Programs with a key need not say so: curl and most libraries accept anything."""
    if hasattr(request, "key_user"):
        return True
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


TITLES = {
    400: "That request cannot be done",
    401: "Sign in first",
    403: "Not allowed",
    404: "Nothing here",
    409: "It has changed meanwhile",
    413: "Too large",
    429: "Too many attempts",
    500: "Something went wrong in Berth",
    502: "The other side answered with an error",
    503: "Not available at the moment",
    507: "The disk is full",
}


def error_response(
    request: HttpRequest,
    *,
    status: int,
    message: str,
    code: str,
    param: str | None = None,
    hint: str = "",
) -> HttpResponse:
    """The error as JSON, as a toast for htmx, or as a page: whichever the caller reads."""
    if wants_json(request):
        error = {"message": message, "code": code, "param": param}
        response: HttpResponse = JsonResponse({"error": error}, status=status)
    elif is_htmx(request):
        toast = {"level": "danger", "message": message, "hint": hint}
        response = render(request, "sessions/_toast.html", toast, status=status)
        response["HX-Retarget"] = "#toasts"
        response["HX-Reswap"] = "beforeend"
    else:
        context = {
            "status": status,
            "title": TITLES.get(status, "An error"),
            "message": message,
            "hint": hint,
            "code": code,
        }
        response = render(request, "error.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response
