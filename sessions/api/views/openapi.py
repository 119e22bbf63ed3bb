"""`/v1/openapi.json`: what is served here, for programs that make clients or requests of it."""

import asyncio
import json
from functools import lru_cache
from hashlib import sha256

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from sessions.api.errors import ApiError
from sessions.openapi.document import document

MAX_AGE_S = 300


@csrf_exempt
async def openapi(request: HttpRequest) -> HttpResponseBase:
    """Without a key: it says nothing that is not the same everywhere."""
    if request.method not in ("GET", "HEAD"):
        message = f"Not allowed to {request.method} on {request.path}."
        headers = {"Allow": "GET, HEAD"}
        return ApiError(405, message, code="method_not_supported", headers=headers).to_response()
    data, etag = await asyncio.to_thread(_served, f"{settings.BERTH_URL}/v1")
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={MAX_AGE_S}"}
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers=headers)
    # Pages of other places may read it: editors and viewers of such documents do.
    headers["Access-Control-Allow-Origin"] = "*"
    return HttpResponse(data, content_type="application/json", headers=headers)


@lru_cache(maxsize=1)
def _served(server_url: str) -> tuple[bytes, str]:
    """The document's bytes and their tag."""
    data = json.dumps(document(server_url), ensure_ascii=False).encode()
    return data, f'"{sha256(data).hexdigest()[:32]}"'
