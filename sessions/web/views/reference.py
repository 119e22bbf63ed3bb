"""The API's document to read and to search."""

from django.conf import settings
from django.http import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from sessions.openapi.document import document
from sessions.openapi.reference import schemas, subjects
from sessions.web.http import UserHttpRequest, signed_in


@require_GET
@signed_in
async def reference(request: UserHttpRequest) -> HttpResponseBase:
    base_url = f"{settings.BERTH_URL}/v1"
    shown = document(base_url)
    context = {"base_url": base_url, "subjects": subjects(shown), "schemas": schemas(shown)}
    return render(request, "reference.html", context)
