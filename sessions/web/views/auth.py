"""Signing in, by password or by a link that works once, and out."""

from asgiref.sync import sync_to_async
from django.contrib.auth import alogin, alogout, authenticate
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from sessions import services
from sessions.errors import NotFoundError
from sessions.web.forms import SignInForm
from sessions.web.http import safe_next, uncached
from sessions.web.throttle import attempt_is_allowed, attempts_forget

WRONG = "The user name and the password do not belong together."
TOO_MANY = (
    f"Too many attempts. Wait {services.GUESS_WINDOW_S // 60} minutes, or sign in with a link."
)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
async def sign_in(request: HttpRequest) -> HttpResponseBase:
    if request.method == "POST":
        return await _sign_in_by_password(request)
    goal = safe_next(request, request.GET.get("next", ""))
    if (await request.auser()).is_authenticated:
        return uncached(redirect(goal))
    return _page(request, goal=goal)


async def _sign_in_by_password(request: HttpRequest) -> HttpResponseBase:
    goal = safe_next(request, request.POST.get("next", ""))
    form = SignInForm(request.POST)
    username = request.POST.get("username", "")
    if not await attempt_is_allowed(request, username):
        return _page(request, goal=goal, username=username, error=TOO_MANY, status=429)
    user = None
    if form.is_valid():
        # In a thread: hashing takes a good part of a second, for unknown names as well.
        user = await sync_to_async(authenticate)(request, **form.cleaned_data)
    if not isinstance(user, User):
        return _page(request, goal=goal, username=username, error=WRONG, status=422)
    await attempts_forget(request, username)
    await alogin(request, user)
    return uncached(_see_other(goal))


@require_http_methods(["GET", "HEAD", "POST"])
async def sign_in_link(request: HttpRequest, token: str) -> HttpResponseBase:
    """The page only shows a button: programs that preview links must not use them up."""
    if request.method == "POST":
        try:
            user = await services.sign_in_link_use(token=token)
        except NotFoundError:
            return _link_page(request, is_fresh=False)
        await alogin(request, user)
        return uncached(_see_other(safe_next(request, "")))
    return _link_page(request, is_fresh=await services.sign_in_link_is_fresh(token=token))


@require_POST
async def sign_out(request: HttpRequest) -> HttpResponseBase:
    await alogout(request)
    return uncached(redirect("login"))


def _see_other(url: str) -> HttpResponse:
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def _link_page(request: HttpRequest, *, is_fresh: bool) -> HttpResponseBase:
    status = 200 if is_fresh else 404
    return uncached(render(request, "sign_in_link.html", {"is_fresh": is_fresh}, status=status))


def _page(
    request: HttpRequest, *, goal: str, username: str = "", error: str = "", status: int = 200
) -> HttpResponseBase:
    context = {"next": goal, "username": username, "error": error}
    return uncached(render(request, "sign_in.html", context, status=status))
