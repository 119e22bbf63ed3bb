"""`/v1/skills`: folders of instructions, in versions."""

import asyncio
from typing import Any, Literal

from django.http import HttpResponseBase
from pydantic import Field

from sessions import selectors, services
from sessions.api.endpoint import Call, operation
from sessions.api.errors import ApiError
from sessions.api.lookups import find_skill, find_version
from sessions.api.paging import page_of_rows
from sessions.api.schema import (
    Deleted,
    FormFiles,
    Identified,
    ListPage,
    NoBody,
    NoQuery,
    PageQuery,
    RequestPart,
    Unmodelled,
    with_example,
)
from sessions.api.uploads import SentFile, sent_files
from sessions.downloads.stored import stored_response
from sessions.models import Skill, SkillVersion
from sessions.responses.ids import SKILL, SKILL_VERSION, format_id, parse_id
from sessions.workspace.skills import (
    MAX_BUNDLE_BYTES,
    SkillBundle,
    SkillFile,
    bundle_of_files,
    bundle_of_zip,
)

ZIP = Unmodelled(media_types=("application/zip",))


class SkillObject(Identified):
    id: str
    object: Literal["skill"] = "skill"
    name: str
    description: str
    created_at: int
    default_version: str
    latest_version: str


class SkillList(ListPage[SkillObject]):
    pass


class VersionObject(Identified):
    id: str
    object: Literal["skill.version"] = "skill.version"
    skill_id: str
    version: str
    created_at: int
    name: str
    description: str


class VersionList(ListPage[VersionObject]):
    pass


class DeletedVersion(Deleted):
    version: str


class SetDefault(RequestPart):
    model_config = with_example(default_version="2")

    default_version: str


class BundleForm(RequestPart):
    """The fields of a form beside the skill's files."""

    default: Literal["true", "false"] | None = Field(
        None, description="Whether the version becomes the one that is used."
    )


BUNDLE = Unmodelled(
    files=FormFiles(
        ("files[]", "files"),
        "The files of the folder, their names with its path; or one zip of it.",
        is_many=True,
        fields=BundleForm,
    )
)


async def _resource(skill: Skill) -> SkillObject:
    """Name and description are those of the default version."""
    default = await selectors.skill_version_get(skill=skill, number=skill.default_version)
    latest = await selectors.skill_version_get(skill=skill)
    return SkillObject(
        id=format_id(SKILL, skill.id),
        name=default.name,
        description=default.description,
        created_at=int(skill.created_at.timestamp()),
        default_version=str(skill.default_version),
        latest_version=str(latest.number),
    )


def _version_resource(version: SkillVersion) -> VersionObject:
    return VersionObject(
        id=format_id(SKILL_VERSION, version.id),
        skill_id=format_id(SKILL, version.skill_id),
        version=str(version.number),
        created_at=int(version.created_at.timestamp()),
        name=version.name,
        description=version.description,
    )


async def _sent_bundle(call: Call[Any, Any]) -> tuple[SkillBundle, bool]:
    """What was sent, and whether it is to be the default. Raises: ApiError, InvalidInputError."""
    if call.http.content_type != "multipart/form-data":
        raise ApiError(400, "Send the skill's files as a form.", param="files")
    posted, sent = await asyncio.to_thread(sent_files, call.http, "files", "files[]")
    default = posted.get("default", "false")
    if default not in {"true", "false"}:
        raise ApiError(400, "Invalid 'default': it is `true` or `false`.", param="default")
    return await asyncio.to_thread(_bundle, sent), default == "true"


def _bundle(sent: list[SentFile]) -> SkillBundle:
    if len(sent) == 1 and "/" not in sent[0].path:
        return bundle_of_zip(sent[0].file.read(MAX_BUNDLE_BYTES + 1))
    return bundle_of_files(SkillFile(one.path, one.file.read()) for one in sent)


def _content(call: Call[Any, Any], version: SkillVersion) -> HttpResponseBase:
    return stored_response(
        call.http,
        services.stored_file_path(version.id),
        size=version.size,
        filename=f"{version.name}.zip",
        content_type="application/zip",
    )


@operation(summary="Keep a skill", returns=SkillObject, unmodelled=BUNDLE)
async def skill_create(call: Call[NoBody, NoQuery]) -> SkillObject:
    """A form with the folder's files as `files[]`, or with a zip of it as `files`."""
    bundle, _ = await _sent_bundle(call)
    packed = await asyncio.to_thread(bundle.to_zip)
    skill, _ = await services.skill_create(
        owner=call.user, name=bundle.name, description=bundle.description, bundle=packed
    )
    return await _resource(skill)


@operation(summary="List skills", query=PageQuery, returns=SkillList)
async def skill_list(call: Call[NoBody, PageQuery]) -> SkillList:
    rows = selectors.skill_rows(owner=call.user)
    page, has_more = await page_of_rows(rows, call.query, parse_id(SKILL, call.query.after or ""))
    data = [await _resource(skill) for skill in page]
    return SkillList.of(data, has_more=has_more)


@operation(summary="One skill", returns=SkillObject)
async def skill_get(call: Call[NoBody, NoQuery], skill_id: str) -> SkillObject:
    return await _resource(await find_skill(call, skill_id))


@operation(summary="Choose a skill's default version", body=SetDefault, returns=SkillObject)
async def skill_update(call: Call[SetDefault, NoQuery], skill_id: str) -> SkillObject:
    skill = await find_skill(call, skill_id)
    version = await find_version(skill, call.body.default_version)
    await services.skill_set_default(skill=skill, version=version)
    return await _resource(await find_skill(call, skill_id))


@operation(summary="Delete a skill with all its versions", returns=Deleted)
async def skill_delete(call: Call[NoBody, NoQuery], skill_id: str) -> Deleted:
    await services.skill_delete(skill=await find_skill(call, skill_id))
    return Deleted(id=skill_id, object="skill.deleted")


@operation(summary="The default version as a zip", unmodelled=ZIP)
async def skill_content(call: Call[NoBody, NoQuery], skill_id: str) -> HttpResponseBase:
    skill = await find_skill(call, skill_id)
    return _content(call, await find_version(skill, str(skill.default_version)))


@operation(summary="Keep another version of a skill", returns=VersionObject, unmodelled=BUNDLE)
async def version_create(call: Call[NoBody, NoQuery], skill_id: str) -> VersionObject:
    skill = await find_skill(call, skill_id)
    bundle, is_default = await _sent_bundle(call)
    version = await services.skill_version_create(
        skill=skill,
        name=bundle.name,
        description=bundle.description,
        bundle=await asyncio.to_thread(bundle.to_zip),
        is_default=is_default,
    )
    return _version_resource(version)


@operation(summary="List the versions of a skill", query=PageQuery, returns=VersionList)
async def version_list(call: Call[NoBody, PageQuery], skill_id: str) -> VersionList:
    skill = await find_skill(call, skill_id)
    rows = SkillVersion.objects.filter(skill=skill)
    after = parse_id(SKILL_VERSION, call.query.after or "")
    page, has_more = await page_of_rows(rows, call.query, after)
    data = [_version_resource(version) for version in page]
    return VersionList.of(data, has_more=has_more)


@operation(summary="One version of a skill", returns=VersionObject)
async def version_get(call: Call[NoBody, NoQuery], skill_id: str, version: str) -> VersionObject:
    return _version_resource(await find_version(await find_skill(call, skill_id), version))


@operation(summary="Delete a version of a skill", returns=DeletedVersion)
async def version_delete(
    call: Call[NoBody, NoQuery], skill_id: str, version: str
) -> DeletedVersion:
    """Not the default, unless it is the only one: with it the skill goes."""
    skill = await find_skill(call, skill_id)
    found = await find_version(skill, version)
    await services.skill_version_delete(skill=skill, version=found)
    return DeletedVersion(
        id=format_id(SKILL, skill.id), object="skill.version.deleted", version=str(found.number)
    )


@operation(summary="A version of a skill as a zip", unmodelled=ZIP)
async def version_content(
    call: Call[NoBody, NoQuery], skill_id: str, version: str
) -> HttpResponseBase:
    return _content(call, await find_version(await find_skill(call, skill_id), version))
