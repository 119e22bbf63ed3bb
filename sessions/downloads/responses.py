"""Responses that carry bytes of the workspace, which are hostile whatever they claim to be."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from urllib.parse import quote_from_bytes

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from typing_extensions import override

from sessions.downloads.ranges import Span, describe_span
from sessions.sandbox.base import Entry
from sessions.workspace.paths import display_name, encode_path

# `sandbox` gives the bytes an origin of their own should a browser ever show them.
HOSTILE_CONTENT_POLICY = "default-src 'none'; sandbox"


class PiecesResponse(StreamingHttpResponse):
    """Ends the work in the container with the response, also when its reader went away.

    Django closes only what it iterates itself; the generators below would live on until they are
    collected.
    """

    def __init__(self, pieces: AsyncGenerator[bytes, None], content_type: str) -> None:
        super().__init__(pieces, content_type=content_type)
        self._pieces = pieces

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(self._pieces):
            async for part in super().__aiter__():
                yield part


def etag_of(entry: Entry) -> str:
    return f'"{entry.size:x}-{int(entry.modified_at * 1_000_000):x}"'


def content_disposition(kind: str, name: str) -> str:
    """RFC 6266 with a plain `filename` for old clients and `filename*` for all others.

    Bytes that are not UTF-8 become what a person sees of them, because RFC 8187 has no way to
    send them as they are.
    """
    shown = name if _is_utf8(name) else display_name(name)
    plain = "".join(c if " " <= c < "\x7f" and c not in '"\\%/' else "_" for c in shown)
    # attr-char of RFC 8187; `quote_from_bytes` keeps only letters, digits and `_.-~` by itself.
    encoded = quote_from_bytes(shown.encode(), safe="!#$&+^`|")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def _is_utf8(name: str) -> bool:
    return encode_path(name) == name.encode("utf-8", "replace")


def guard_content(response: HttpResponseBase) -> None:
    """Never sniffed, never framed, never run; asked again before a cached copy is used."""
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = HOSTILE_CONTENT_POLICY
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "private, no-cache"


def span_response(
    request: HttpRequest,
    pieces: AsyncGenerator[bytes, None],
    *,
    span: Span,
    etag: str,
    content_type: str,
    disposition: str,
) -> HttpResponseBase:
    """Exactly `span`, streamed; for HEAD only what describes it, with nothing read."""
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse(content_type=content_type)
    else:
        response = PiecesResponse(pieces, content_type)
    describe_span(response, span, etag=etag)
    response["Content-Disposition"] = disposition
    guard_content(response)
    return response


def range_refused(size: int) -> HttpResponse:
    response = HttpResponse(status=416)
    response["Content-Range"] = f"bytes */{size}"
    guard_content(response)
    return response


def not_modified(etag: str) -> HttpResponse:
    response = HttpResponse(status=304)
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response
