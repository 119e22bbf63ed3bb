"""Where a request comes from, as far as it can be known."""

import ipaddress
from typing import Any

from django.conf import settings
from django.http import HttpRequest

IPV6_NETWORK_BITS = 64
"""One household or machine gets this much; single addresses in it cost nothing."""


def client_network(request: HttpRequest) -> str:
    forwarded = request.headers.get("X-Forwarded-For", "")
    return network_of(request.META.get("REMOTE_ADDR") or "", forwarded)


def network_of(address: str, forwarded_for: str) -> str:
    """Of the connection's address and the `X-Forwarded-For` header. The proxy's word is taken only
    when there is a proxy."""
    if forwarded_for and settings.SECURE_PROXY_SSL_HEADER:
        # The last entry is the proxy's own; the ones before are the client's to invent.
        address = forwarded_for.rsplit(",", 1)[-1].strip()
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK_BITS), strict=False))


def header(scope: dict[str, Any], name: bytes) -> str:
    """Of a handshake. Empty when it is missing, and when there are several to choose from."""
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin1") if len(values) == 1 else ""
