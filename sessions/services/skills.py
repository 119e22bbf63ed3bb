"""Skills and their versions. A version never changes; the default is what is used unless another
is named."""

import asyncio
import io
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import transaction

from sessions.errors import ConflictError, NotFoundError
from sessions.models import Skill, SkillVersion
from sessions.services.stored_files import stored_file_path, stored_file_write


async def skill_create(
    *, owner: User, name: str, description: str, bundle: bytes
) -> tuple[Skill, SkillVersion]:
    """A skill with its first version. `bundle` is a zip. Raises: DiskFullError."""

    @database_sync_to_async
    def write(version_id: uuid.UUID) -> tuple[Skill, SkillVersion]:
        with transaction.atomic():
            skill = Skill.objects.create(owner=owner)
            version = SkillVersion.objects.create(
                id=version_id,
                skill=skill,
                number=1,
                name=name,
                description=description,
                size=len(bundle),
            )
        return skill, version

    async with _kept(bundle) as version_id:
        return await write(version_id)


async def skill_version_create(
    *, skill: Skill, name: str, description: str, bundle: bytes, is_default: bool = False
) -> SkillVersion:
    """Raises: DiskFullError, NotFoundError when the skill was deleted meanwhile."""

    @database_sync_to_async
    def write(version_id: uuid.UUID) -> SkillVersion:
        with transaction.atomic():
            row = Skill.objects.select_for_update().filter(id=skill.id).first()
            if row is None:
                raise NotFoundError("There is no such skill.")
            row.last_number += 1
            if is_default:
                row.default_version = row.last_number
            row.save(update_fields=["last_number", "default_version"])
            return SkillVersion.objects.create(
                id=version_id,
                skill=row,
                number=row.last_number,
                name=name,
                description=description,
                size=len(bundle),
            )

    async with _kept(bundle) as version_id:
        return await write(version_id)


@asynccontextmanager
async def _kept(bundle: bytes) -> AsyncIterator[uuid.UUID]:
    """The bundle on the host, under an id that a row is about to have; gone again without one."""
    version_id = uuid.uuid4()
    path = stored_file_path(version_id)
    try:
        await asyncio.to_thread(stored_file_write, path, io.BytesIO(bundle).read)
        yield version_id
    except BaseException:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        raise


@database_sync_to_async
def skill_set_default(*, skill: Skill, version: SkillVersion) -> None:
    """Raises: NotFoundError when one of them has gone meanwhile."""
    with transaction.atomic():
        row = _locked(skill)
        if not SkillVersion.objects.filter(id=version.id).exists():
            raise NotFoundError("There is no such version.")
        row.default_version = version.number
        row.save(update_fields=["default_version"])


def _locked(skill: Skill) -> Skill:
    """Within a transaction. Raises: NotFoundError."""
    row = Skill.objects.select_for_update().filter(id=skill.id).first()
    if row is None:
        raise NotFoundError("There is no such skill.")
    return row


async def skill_delete(*, skill: Skill) -> None:
    """With all its versions. What sessions have of them stays (services/session_skills.py)."""
    ids = [row.id async for row in SkillVersion.objects.filter(skill=skill)]
    await Skill.objects.filter(id=skill.id).adelete()
    for one in ids:
        await asyncio.to_thread(stored_file_path(one).unlink, missing_ok=True)


async def skill_version_delete(*, skill: Skill, version: SkillVersion) -> None:
    """With the last version the skill goes. Raises: ConflictError for the default of several,
    NotFoundError."""

    @database_sync_to_async
    def write() -> None:
        with transaction.atomic():
            row = _locked(skill)
            others = SkillVersion.objects.filter(skill=row).exclude(id=version.id)
            if not others.exists():
                row.delete()
                return
            if row.default_version == version.number:
                raise ConflictError("Another version has to become the default first.")
            SkillVersion.objects.filter(id=version.id).delete()

    await write()
    await asyncio.to_thread(stored_file_path(version.id).unlink, missing_ok=True)
