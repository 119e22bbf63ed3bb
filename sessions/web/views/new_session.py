"""Starting a session: from the form, or the guided tour."""

import uuid

from django import forms
from django.conf import settings
from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render, resolve_url
from django.views.decorators.http import require_POST

from sessions import selectors, services
from sessions.errors import InvalidInputError, NotFoundError
from sessions.models import Session
from sessions.runtime.wiring import runtime
from sessions.web.forms import NewSessionForm, uploads
from sessions.web.http import (
    UserHttpRequest,
    error_response,
    is_htmx,
    signed_in,
    wants_json,
)
from sessions.web.views.dashboard import dashboard_page, new_session_form

FIELD_OF_PARAM = {"text": "task", "files": None, "skills": "skills"}
TOUR_TEXT = "/tour"


@require_POST
@signed_in
async def session_create(request: UserHttpRequest) -> HttpResponseBase:
    form = await new_session_form(request.user, request.POST)
    if not form.is_valid():
        return await _with_errors(request, form)
    choice = form.model_choice()
    try:
        session = await services.session_create(
            owner=request.user,
            text=form.cleaned_data["task"],
            provider=choice.provider,
            model=choice.model,
            image=form.cleaned_data["image"],
            limits=form.limits(),
            expires_after_s=form.expiry_s(),
            files=uploads(request.FILES.getlist("files")),
            skills=await _skills(request, form),
        )
    except InvalidInputError as error:
        form.add_error(FIELD_OF_PARAM.get(error.param or ""), forms.ValidationError(error.message))
        return await _with_errors(request, form)
    return _to_session(request, session)


async def _skills(request: UserHttpRequest, form: NewSessionForm) -> list[services.NewSkill]:
    """The default versions of those that were chosen. Raises: InvalidInputError."""
    chosen: list[services.NewSkill] = []
    for skill_id in form.cleaned_data["skills"]:
        try:
            skill = await selectors.skill_get(owner=request.user, skill_id=uuid.UUID(skill_id))
            version = await selectors.skill_version_get(skill=skill, number=skill.default_version)
            chosen.append(await services.skill_of_version(version=version))
        except NotFoundError as error:
            message = "One of the skills is no longer there."
            raise InvalidInputError(message, param="skills") from error
    services.skills_check_room(chosen)
    return chosen


@require_POST
@signed_in
async def tour_start(request: UserHttpRequest) -> HttpResponseBase:
    session = await services.session_create(
        owner=request.user,
        text=TOUR_TEXT,
        provider="scripted",
        model="scripted",
        image=settings.BERTH_DEFAULT_IMAGE,
        limits=runtime().limits_default,
        expires_after_s=runtime().config.expires_after_s,
        is_tour=True,
    )
    return _to_session(request, session)


def _to_session(request: UserHttpRequest, session: Session) -> HttpResponseBase:
    url = resolve_url("session", session_id=session.id)
    if wants_json(request):
        return JsonResponse({"session": str(session.id), "url": url}, status=201)
    if is_htmx(request):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponse(status=303, headers={"Location": url})


async def _with_errors(request: UserHttpRequest, form: NewSessionForm) -> HttpResponseBase:
    """For htmx only the messages, so that the chosen files stay chosen."""
    if wants_json(request):
        name, errors = next((name, errors) for name, errors in form.errors_by_field() if errors)
        return error_response(
            request, status=422, message=errors[0], code="invalid_input", param=name
        )
    if is_htmx(request):
        return render(request, "sessions/_new_session_errors.html", {"form": form}, status=422)
    return await dashboard_page(request, form, status=422)
