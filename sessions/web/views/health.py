"""For probes: does this process reach what it needs?"""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from sessions.runtime.wiring import runtime

HEALTHY = frozenset({"ok", "off"})
"""`off`: this process is not meant to have the part."""


@require_safe
async def health(request: HttpRequest) -> JsonResponse:
    """Anyone may ask, so a fault is named but not described: details can hold addresses."""
    report = await runtime().health()
    parts = {part: state if state in HEALTHY else "failed" for part, state in report.items()}
    is_ok = "failed" not in parts.values()
    return JsonResponse(
        {"status": "ok" if is_ok else "degraded", **parts},
        status=200 if is_ok else 503,
        headers={"Cache-Control": "no-store"},
    )
