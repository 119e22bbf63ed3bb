"""How to use this Berth from code."""

from django.http import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from sessions import services
from sessions.web.base_url import base_url
from sessions.web.http import UserHttpRequest, signed_in
from sessions.web.snippets import CLIENTS, NO_KEY


@sensitive_post_parameters("secret")
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
async def snippets(request: UserHttpRequest) -> HttpResponseBase:
    """With POST the key that was just made is filled in: it is in that one answer only, and was in
    no address."""
    secret = request.POST.get("secret", "") if request.method == "POST" else ""
    has_key = bool(secret) and await services.api_key_is_of(user=request.user, secret=secret)
    base = base_url(request)
    clients = [
        {
            "client": client,
            "snippets": [
                {
                    "snippet": snippet,
                    "text": snippet.text(base_url=base, key=secret if has_key else NO_KEY),
                }
                for snippet in client.snippets
            ],
        }
        for client in CLIENTS
    ]
    context = {"clients": clients, "base_url": base, "has_key": has_key, "no_key": NO_KEY}
    return render(request, "code.html", context)
