"""A person's skills: what their programs keep at `/v1/skills`, seen, added to, deleted."""

import asyncio
import uuid
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url
from django.views.decorators.http import require_GET, require_POST

from sessions import selectors, services
from sessions.downloads.stored import stored_response
from sessions.errors import ConflictError, InvalidInputError
from sessions.models import Skill
from sessions.responses.ids import SKILL, format_id
from sessions.web.http import UserHttpRequest, signed_in
from sessions.workspace.skills import MAX_BUNDLE_BYTES, SkillBundle, bundle_of_zip

MAX_LISTED = 200


@require_GET
@signed_in
async def skills_page(request: UserHttpRequest) -> HttpResponseBase:
    return await _page(request)


@require_POST
@signed_in
async def skill_create(request: UserHttpRequest) -> HttpResponseBase:
    try:
        bundle, packed = await _sent(request)
    except InvalidInputError as error:
        return await _page(request, error=error.message, status=422)
    await services.skill_create(
        owner=request.user, name=bundle.name, description=bundle.description, bundle=packed
    )
    return _back(request, f"The skill {bundle.name} is kept.")


@require_POST
@signed_in
async def skill_delete(request: UserHttpRequest, skill_id: uuid.UUID) -> HttpResponseBase:
    await services.skill_delete(
        skill=await selectors.skill_get(owner=request.user, skill_id=skill_id)
    )
    return _back(request, "The skill is deleted. Containers that have it keep it.")


@require_POST
@signed_in
async def version_create(request: UserHttpRequest, skill_id: uuid.UUID) -> HttpResponseBase:
    skill = await selectors.skill_get(owner=request.user, skill_id=skill_id)
    try:
        bundle, packed = await _sent(request)
    except InvalidInputError as error:
        return await _page(request, error=error.message, wrong_skill=skill.id, status=422)
    version = await services.skill_version_create(
        skill=skill,
        name=bundle.name,
        description=bundle.description,
        bundle=packed,
        is_default=bool(request.POST.get("default")),
    )
    return _back(request, f"Version {version.number} of {version.name} is kept.")


@require_POST
@signed_in
async def version_default(
    request: UserHttpRequest, skill_id: uuid.UUID, number: int
) -> HttpResponseBase:
    skill = await selectors.skill_get(owner=request.user, skill_id=skill_id)
    version = await selectors.skill_version_get(skill=skill, number=number)
    await services.skill_set_default(skill=skill, version=version)
    return _back(request, f"Version {number} of {version.name} is used from now on.")


@require_POST
@signed_in
async def version_delete(
    request: UserHttpRequest, skill_id: uuid.UUID, number: int
) -> HttpResponseBase:
    skill = await selectors.skill_get(owner=request.user, skill_id=skill_id)
    version = await selectors.skill_version_get(skill=skill, number=number)
    try:
        await services.skill_version_delete(skill=skill, version=version)
    except ConflictError as error:
        return await _page(request, error=error.message, wrong_skill=skill.id, status=409)
    return _back(request, f"Version {number} of {version.name} is deleted.")


@require_GET
@signed_in
async def version_content(
    request: UserHttpRequest, skill_id: uuid.UUID, number: int
) -> HttpResponseBase:
    """Its files as a zip."""
    skill = await selectors.skill_get(owner=request.user, skill_id=skill_id)
    version = await selectors.skill_version_get(skill=skill, number=number)
    return stored_response(
        request,
        services.stored_file_path(version.id),
        size=version.size,
        filename=f"{version.name}-{number}.zip",
        content_type="application/zip",
    )


async def _sent(request: UserHttpRequest) -> tuple[SkillBundle, bytes]:
    """The zip that was sent, checked, and as it is kept. Raises: InvalidInputError."""
    sent = request.FILES.get("bundle")
    if not isinstance(sent, UploadedFile):
        raise InvalidInputError("Choose a zip with the skill's folder in it.", param="bundle")

    def checked() -> tuple[SkillBundle, bytes]:
        bundle = bundle_of_zip(sent.read(MAX_BUNDLE_BYTES + 1))
        return bundle, bundle.to_zip()

    return await asyncio.to_thread(checked)


def _back(request: UserHttpRequest, said: str) -> HttpResponse:
    messages.success(request, said)
    return HttpResponse(status=303, headers={"Location": resolve_url("skills")})


async def _page(request: UserHttpRequest, *, status: int = 200, **extra: Any) -> HttpResponse:
    skills = await selectors.skill_list(owner=request.user, limit=MAX_LISTED)
    context = {"skills": [_row(skill) for skill in skills if skill.versions.all()], **extra}
    return render(request, "sessions/skills.html", context, status=status)


def _row(skill: Skill) -> dict[str, Any]:
    """Name and description are those of the default version, as programs get them."""
    versions = sorted(skill.versions.all(), key=lambda version: -version.number)
    defaults = [one for one in versions if one.number == skill.default_version]
    return {
        "skill": skill,
        "api_id": format_id(SKILL, skill.id),
        "default": (defaults or versions)[0],
        "versions": versions,
    }
