"""One's own password and API keys."""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import aupdate_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST
from typing_extensions import override

from sessions import selectors, services
from sessions.errors import InvalidInputError
from sessions.web import key_form
from sessions.web.base_url import base_url
from sessions.web.http import UserHttpRequest, signed_in


class FirstPassword(SetPasswordForm):  # type: ignore[type-arg]  # not subscriptable when it runs
    """Says what is wrong with a password where it was typed first."""

    @override
    def validate_password_for_user(
        self,
        user: User,
        password_field_name: str = "new_password1",  # noqa: S107
    ) -> None:
        super().validate_password_for_user(user, "new_password1")


class ChangePassword(FirstPassword, PasswordChangeForm): ...


@require_GET
@signed_in
async def account(request: UserHttpRequest) -> HttpResponseBase:
    return await _page(request)


@sensitive_post_parameters()
@require_POST
@signed_in
async def password_change(request: UserHttpRequest) -> HttpResponseBase:
    form = _password_form(request, request.POST)
    if not await _save_if_valid(form):
        return await _page(request, form=form, status=422)
    # Signs out every other browser of this user, and keeps this one.
    await aupdate_session_auth_hash(request, request.user)
    messages.success(request, "The new password is set. Other browsers have been signed out.")
    return _back()


@require_POST
@signed_in
async def key_create(request: UserHttpRequest) -> HttpResponseBase:
    try:
        new = key_form.new_key(request.POST)
        key, secret = await services.api_key_create(
            user=request.user, name=new.name, scopes=new.scopes, expires_in=new.expires_in
        )
    except InvalidInputError as error:
        wrong: dict[str, Any] = {"key_error": error.message, "key_error_at": error.param}
        return await _page(request, **wrong, **key_form.form_context(request.POST), status=422)
    # Not a redirect: the secret exists in this one answer only.
    return await _page(request, new_key=key, new_secret=secret)


@require_POST
@signed_in
async def key_revoke(request: UserHttpRequest, key_id: int) -> HttpResponseBase:
    await services.api_key_revoke(user=request.user, key_id=key_id)
    messages.success(request, "The key is revoked. Programs that use it are refused from now on.")
    return _back()


def _password_form(request: UserHttpRequest, data: Any = None) -> "SetPasswordForm[User]":
    """The old password is asked for when there is one; who came by a link may have none."""
    kind = ChangePassword if request.user.has_usable_password() else FirstPassword
    return kind(request.user, data)


@sync_to_async
def _save_if_valid(form: "SetPasswordForm[User]") -> bool:
    # In a thread: both steps hash.
    if not form.is_valid():
        return False
    form.save()
    return True


def _back() -> HttpResponse:
    return HttpResponse(status=303, headers={"Location": resolve_url("account")})


async def _page(
    request: UserHttpRequest,
    *,
    form: "SetPasswordForm[User] | None" = None,
    status: int = 200,
    **extra: Any,
) -> HttpResponse:
    context = {
        "form": form or _password_form(request),
        "base_url": base_url(request),
        "keys": key_form.listed(await selectors.api_key_list(user=request.user)),
        **key_form.form_context(),
        **extra,
    }
    return render(request, "account.html", context, status=status)
