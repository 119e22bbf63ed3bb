"""The API's document to read and to search."""

import asyncio
from functools import lru_cache
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from sessions.openapi.document import document
from sessions.openapi.reference import schemas, subjects
from sessions.web.base_url import base_url
from sessions.web.http import UserHttpRequest, signed_in


@require_GET
@signed_in
async def reference(request: UserHttpRequest) -> HttpResponseBase:
    # Half a megabyte of page: making it would hold up every stream.
    return await asyncio.to_thread(_page, request)


def _page(request: UserHttpRequest) -> HttpResponse:
    return render(request, "reference.html", _shown(base_url(request)))


@lru_cache(maxsize=4)
def _shown(address: str) -> dict[str, Any]:
    shown = document(address)
    return {"base_url": address, "subjects": subjects(shown), "schemas": schemas(shown)}
