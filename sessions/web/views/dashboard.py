"""The list of sessions, the form above it, and what both need to stay current."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from sessions import selectors
from sessions.errors import SandboxError
from sessions.models import Skill
from sessions.providers.base import ModelStatus
from sessions.runtime.wiring import runtime
from sessions.web.forms import NewSessionForm, choice_value
from sessions.web.http import UserHttpRequest, signed_in
from sessions.web.views.health import HEALTHY

IMAGES_TIMEOUT_S = 2.0
MAX_SEARCH_LENGTH = 200
MAX_ROWS = 100
MAX_SKILLS = 100
"""To choose from; the newest."""
EXAMPLES = (
    ("Merge sort", "Write and test a merge sort in Python"),
    (
        "Word counter",
        "Write a Python script that counts the words of a text file, and try it on a file you make",
    ),
    (
        "Look around",
        "Show the operating system, the Python version and the free disk space of this machine",
    ),
)

SCRIPTED_EXAMPLES = (
    ("Count", "```bash\nfor i in 1 2 3 4 5; do echo $i; sleep 1; done\n```"),
    ("Look around", "```bash\ncat /etc/os-release\npython3 --version\ndf -h .\n```"),
)
"""The scripted model runs what is in the block and understands nothing else."""


@dataclass(frozen=True, slots=True)
class ModelProgress:
    """The state of the embedded model, in words and figures for a page."""

    status: ModelStatus

    @property
    def title(self) -> str:
        titles = {
            "downloading": "Downloading the local model",
            "verifying": "Verifying the local model",
            "loading": "Loading the local model",
            "failed": "The local model is not available",
        }
        return titles.get(self.status.state, "")

    @property
    def percent(self) -> int | None:
        """None while nothing can be measured."""
        if self.status.state not in {"downloading", "verifying"} or not self.status.total_bytes:
            return None
        return min(100, int(100 * self.status.done_bytes / self.status.total_bytes))

    @property
    def done_mb(self) -> int:
        return self.status.done_bytes // 1_000_000

    @property
    def total_mb(self) -> int:
        return self.status.total_bytes // 1_000_000


@dataclass(frozen=True, slots=True)
class Problem:
    title: str
    advice: str
    detail: str


_PROBLEMS = {
    "docker": (
        "The Docker engine does not answer",
        "No container can be started until it does. Check that it runs (“docker info”) and that "
        "Berth may use it, then wait a moment: tasks given meanwhile start by themselves.",
    ),
    "database": (
        "The database does not answer",
        "Nothing can be saved until it does. Check its disk and its connection.",
    ),
    "supervisor": (
        "Tasks are not being worked on",
        "The supervisor has stopped. Look into the server's log and start Berth again; no work is "
        "lost.",
    ),
}


def problems(health: Mapping[str, str]) -> list[Problem]:
    """What keeps sessions from working here, and what to do about it."""
    return [
        Problem(title, advice, detail=health[part])
        for part, (title, advice) in _PROBLEMS.items()
        if health.get(part, "ok") not in HEALTHY
    ]


def model_progress() -> ModelProgress | None:
    status = runtime().model_status()
    return ModelProgress(status) if status and status.state != "ready" else None


@require_GET
@signed_in
async def dashboard(request: UserHttpRequest) -> HttpResponseBase:
    return await dashboard_page(request, await new_session_form(request.user))


@require_GET
@signed_in
async def session_rows(request: UserHttpRequest) -> HttpResponseBase:
    """The rows alone. A search by hand also moves the page's address, polls do not."""
    search = search_words(request)
    response = render(request, "sessions/_session_rows.html", await rows_context(request, search))
    if request.htmx.trigger == "session-search":
        query = f"?{urlencode({'q': search})}" if search else ""
        response["HX-Replace-Url"] = reverse("dashboard") + query
    return response


@require_GET
@signed_in
async def status_banners(request: UserHttpRequest) -> HttpResponseBase:
    """The local model's progress and what is wrong with the machine; polls itself."""
    context = {
        "model": model_progress(),
        "is_staff": request.user.is_staff,
        "problems": problems(await runtime().health()),
    }
    return render(request, "sessions/_status_banners.html", context)


async def dashboard_page(
    request: UserHttpRequest, form: NewSessionForm, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "model": model_progress(),
        "is_scripted": _is_scripted(request),
        "has_disk_quota": await runtime().has_disk_quota(),
        **await rows_context(request, search_words(request)),
    }
    return render(request, "sessions/dashboard.html", context, status=status)


async def rows_context(request: UserHttpRequest, search: str) -> dict[str, Any]:
    rows = await selectors.session_list(user=request.user, search=search, limit=MAX_ROWS)
    return {
        "rows": rows,
        "is_cut": len(rows) == MAX_ROWS,
        "search": search,
        "is_staff": request.user.is_staff,
        "examples": SCRIPTED_EXAMPLES if _is_scripted(request) else EXAMPLES,
    }


def _is_scripted(request: UserHttpRequest) -> bool:
    """Whether the model that is chosen on the page, or would be, is the scripted one."""
    chosen = request.POST.get("choice") or request.GET.get("choice")
    return (chosen or choice_value(runtime().default_choice())).startswith("scripted:")


def search_words(request: UserHttpRequest) -> str:
    return request.GET.get("q", "").strip()[:MAX_SEARCH_LENGTH]


async def new_session_form(user: User, data: Any = None) -> NewSessionForm:
    skills = await selectors.skill_list(owner=user, limit=MAX_SKILLS)
    return NewSessionForm(
        data,
        choices=runtime().choices(),
        default_choice=runtime().default_choice(),
        images=await _images(),
        limits_default=runtime().limits_default,
        limits_max=runtime().limits_max,
        expires_after_s=runtime().config.expires_after_s,
        skills=[(str(skill.id), name) for skill in skills if (name := _name_of(skill))],
    )


def _name_of(skill: Skill) -> str:
    """That of its default version; empty for one that is being deleted."""
    names = [one.name for one in skill.versions.all() if one.number == skill.default_version]
    return names[0] if names else ""


async def _images() -> Sequence[str]:
    """A task can be given while the engine is away: it then waits for it in the default image."""
    try:
        async with asyncio.timeout(IMAGES_TIMEOUT_S):
            images = await runtime().images()
    except (SandboxError, TimeoutError):
        images = []
    return images or [settings.BERTH_DEFAULT_IMAGE]
