"""Skills that a container is asked for with, and those that it has."""

import asyncio
import base64
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from sessions import selectors, services
from sessions.api.endpoint import Call
from sessions.api.errors import ApiError
from sessions.api.lookups import find_skill, find_version
from sessions.api.schema import RequestPart, Resource
from sessions.errors import InvalidInputError
from sessions.models import Session, SessionSkill
from sessions.responses.ids import SKILL, format_id
from sessions.sandbox.names import skill_path
from sessions.services import MAX_SESSION_SKILLS, NewSkill
from sessions.workspace.skills import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    NAME_PATTERN,
    bundle_of_zip,
)

MAX_DATA_LENGTH = 70_254_592
"""Characters of base64, as hosted."""


class SkillReference(RequestPart):
    """One that is kept at `/v1/skills`."""

    type: Literal["skill_reference"]
    skill_id: str = Field(min_length=1, max_length=64)
    version: str | int | None = Field(
        None, description="A number or `latest`; the default version when absent."
    )


class InlineSource(RequestPart):
    type: Literal["base64"]
    media_type: Literal["application/zip"]
    data: str = Field(min_length=1, max_length=MAX_DATA_LENGTH)


class InlineSkill(RequestPart):
    """For this container alone."""

    type: Literal["inline"]
    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=f"^{NAME_PATTERN}$")
    description: str = Field(min_length=1, max_length=MAX_DESCRIPTION_LENGTH)
    source: InlineSource


SkillWanted = Annotated[SkillReference | InlineSkill, Field(discriminator="type")]
SkillsWanted = Annotated[list[SkillWanted], Field(max_length=MAX_SESSION_SKILLS)]


class ContainerSkill(Resource):
    name: str
    description: str
    path: str = Field(description="Its folder in the container.")
    skill_id: str | None = Field(description="Null for one that was sent along.")
    version: str | None


def container_skills(rows: Iterable[SessionSkill]) -> list[ContainerSkill]:
    return [
        ContainerSkill(
            name=row.name,
            description=row.description,
            path=skill_path(row.name, row.digest),
            skill_id=format_id(SKILL, row.skill_id) if row.skill_id else None,
            version=str(row.version) if row.version else None,
        )
        for row in rows
    ]


async def chosen_skills(
    call: Call[Any, Any],
    wanted: Sequence[SkillReference | InlineSkill] | None,
    *,
    param: str,
    session: Session | None = None,
) -> list[NewSkill]:
    """What a container is to have beside what `session` has. `param` names the list.

    Raises: ApiError, InvalidInputError."""
    if not wanted:
        return []
    there = await selectors.session_skills(session=session) if session is not None else []
    chosen: list[NewSkill] = []
    for index, one in enumerate(wanted):
        chosen.append(await _chosen(call, one, f"{param}[{index}]"))
        try:
            services.skills_check_room([*there, *chosen])
        except InvalidInputError as error:
            error.param = param
            raise
    return chosen


async def _chosen(
    call: Call[Any, Any], wanted: SkillReference | InlineSkill, param: str
) -> NewSkill:
    if isinstance(wanted, InlineSkill):
        return await _sent(wanted, f"{param}.source.data")
    skill = await find_skill(call, wanted.skill_id, param=f"{param}.skill_id")
    number = skill.default_version if wanted.version is None else wanted.version
    version = await find_version(skill, str(number), param=f"{param}.version")
    return await services.skill_of_version(version=version)


async def _sent(skill: InlineSkill, param: str) -> NewSkill:
    """Checked by the same rules as one that is kept. Raises: ApiError, InvalidInputError."""

    def checked() -> NewSkill:
        try:
            data = base64.b64decode(skill.source.data, validate=True)
        except ValueError as error:
            message = f"Invalid '{param}': that is no base64."
            raise ApiError(400, message, param=param, code="invalid_value") from error
        bundle = bundle_of_zip(data).to_zip()
        return services.skill_sent(name=skill.name, description=skill.description, bundle=bundle)

    try:
        return await asyncio.to_thread(checked)
    except InvalidInputError as error:
        error.param = param
        raise
