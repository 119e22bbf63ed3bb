"""Where the programs of whoever looks at a page reach the API."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest


def base_url(request: HttpRequest) -> str:
    """By the address that the browser asked. A proxy that ends TLS need not say so where
    `BERTH_URL` does."""
    if urlsplit(settings.BERTH_URL).netloc == request.get_host():
        return f"{settings.BERTH_URL}/v1"
    return request.build_absolute_uri("/v1")
