"""Which bytes of a file a request wants (RFC 9110 §13.1.5, §14)."""

import re
from dataclasses import dataclass

from django.http import HttpRequest
from django.http.response import HttpResponseBase

_RANGE = re.compile(r"bytes=\s*(\d{1,19})?-(\d{1,19})?\s*")


@dataclass(frozen=True, slots=True)
class Span:
    """`length` bytes of `size` from `offset` on; `is_partial` answers with 206."""

    offset: int
    length: int
    size: int
    is_partial: bool

    @property
    def content_range(self) -> str:
        return f"bytes {self.offset}-{self.offset + self.length - 1}/{self.size}"


def requested_span(request: HttpRequest, *, size: int, etag: str) -> Span | None:
    """The bytes to send, or None when the range lies outside the file (416).

    A header that is ill-formed, names several ranges or was meant for another version of the
    file is answered with the whole of it, as the RFC allows.
    """
    whole = Span(0, size, size, is_partial=False)
    header = request.headers.get("Range", "")
    match = _RANGE.fullmatch(header)
    if match is None or request.headers.get("If-Range", etag) != etag:
        return whole
    first, last = (None if group is None else int(group) for group in match.groups())
    if first is None and last is None:
        return whole
    if first is None:
        start, stop = max(size - (last or 0), 0), size
    else:
        if last is not None and last < first:
            return whole
        start, stop = first, size if last is None else min(last + 1, size)
    if start >= stop:
        return None
    return Span(start, stop - start, size, is_partial=True)


def describe_span(response: HttpResponseBase, span: Span, *, etag: str) -> None:
    """Status and headers of a response that carries exactly `span`."""
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["Content-Length"] = str(span.length)
    if span.is_partial:
        response.status_code = 206
        response["Content-Range"] = span.content_range
