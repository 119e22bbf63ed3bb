"""For probes: does this process reach what it needs?"""

import asyncio
import time
from collections.abc import Mapping
from contextvars import Context

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from sessions.runtime.process import Runtime
from sessions.runtime.wiring import runtime

HEALTHY = frozenset({"ok", "off"})
"""`off`: this process is not meant to have the part."""
REPORT_AGE_S = 2.0
"""How old an answer may be. Asking takes the database's and the engine's threads, and anyone may."""


class SharedReport:
    """What one runtime says of itself, asked once for all who want to know at about that time."""

    def __init__(self, source: Runtime) -> None:
        self.source = source
        self._asking: asyncio.Task[dict[str, str]] | None = None
        self._asked_at = 0.0

    async def get(self) -> Mapping[str, str]:
        if self._asking is None or self._is_old(self._asking):
            self._asked_at = time.monotonic()
            # A context of its own: this outlives a request that is broken off.
            self._asking = asyncio.get_running_loop().create_task(
                self.source.health(), context=Context()
            )
        return await asyncio.shield(self._asking)

    def _is_old(self, asking: asyncio.Task[dict[str, str]]) -> bool:
        return asking.done() and time.monotonic() - self._asked_at >= REPORT_AGE_S


_shared: SharedReport | None = None


def _shared_report() -> SharedReport:
    global _shared  # noqa: PLW0603  (one process, one runtime, one report)
    source = runtime()
    if _shared is None or _shared.source is not source:
        _shared = SharedReport(source)
    return _shared


@require_safe
async def health(request: HttpRequest) -> JsonResponse:
    """Anyone may ask, so a fault is named but not described: details can hold addresses."""
    report = await _shared_report().get()
    parts = {part: state if state in HEALTHY else "failed" for part, state in report.items()}
    is_ok = "failed" not in parts.values()
    return JsonResponse(
        {"status": "ok" if is_ok else "degraded", **parts},
        status=200 if is_ok else 503,
        headers={"Cache-Control": "no-store"},
    )
