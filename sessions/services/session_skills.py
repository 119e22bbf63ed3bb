"""Skills of a session: copies of bundles, which every container of it is given."""

import asyncio
import contextlib
import hashlib
import io
import os
import shutil
import uuid
import zipfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sessions.errors import DiskFullError, InvalidInputError, NotFoundError
from sessions.events import log
from sessions.events.types import SkillsAdded
from sessions.models import Session, SessionSkill, SkillVersion
from sessions.sandbox.limits import MIB
from sessions.sandbox.names import skill_path
from sessions.services.stored_files import stored_file_path, stored_file_write

MAX_SESSION_SKILLS = 200
MAX_SESSION_SKILLS_BYTES = 256 * MIB
"""Of the files of all skills of one session."""


@dataclass(frozen=True, slots=True)
class NewSkill:
    """`bundle` is a checked zip (workspace/skills.py), or the id of the version that has it."""

    name: str
    description: str
    digest: str
    """SHA-256 of the zip."""
    size: int
    """Of its files together, in bytes."""
    bundle: bytes | uuid.UUID
    skill_id: uuid.UUID | None = None
    version: int | None = None


async def skill_of_version(*, version: SkillVersion) -> NewSkill:
    """Raises: NotFoundError when it was deleted meanwhile."""

    def measured() -> tuple[str, int]:
        with stored_file_path(version.id).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), _size(file)

    try:
        digest, size = await asyncio.to_thread(measured)
    except FileNotFoundError as error:
        raise NotFoundError("There is no such version.") from error
    return NewSkill(
        name=version.name,
        description=version.description,
        digest=digest,
        size=size,
        bundle=version.id,
        skill_id=version.skill_id,
        version=version.number,
    )


def skill_sent(*, name: str, description: str, bundle: bytes) -> NewSkill:
    """One that came along as a checked zip."""
    digest = hashlib.sha256(bundle).hexdigest()
    return NewSkill(name, description, digest, _size(io.BytesIO(bundle)), bundle)


def _size(file: io.BufferedReader | io.BytesIO) -> int:
    with zipfile.ZipFile(file) as archive:
        return sum(info.file_size for info in archive.infolist())


def skills_check_room(skills: Iterable[NewSkill | SessionSkill]) -> None:
    """Of all that one session is to have. Raises: InvalidInputError for more than it may."""
    sizes = {(one.name, one.digest): one.size for one in skills}
    if len(sizes) > MAX_SESSION_SKILLS:
        raise InvalidInputError(f"A container has up to {MAX_SESSION_SKILLS} skills.")
    if sum(sizes.values()) > MAX_SESSION_SKILLS_BYTES:
        limit = f"{MAX_SESSION_SKILLS_BYTES // MIB} MiB"
        raise InvalidInputError(f"The skills of a container have up to {limit} together.")


@asynccontextmanager
async def skills_kept(skills: Sequence[NewSkill]) -> AsyncIterator[list[SessionSkill]]:
    """Rows without a session, whose bundles are on the host; these are gone again when it fails.

    Not to be cancelled while rows may be stored. Raises: DiskFullError, NotFoundError for a version
    that was deleted meanwhile."""
    rows = [
        SessionSkill(
            position=0,
            name=skill.name,
            description=skill.description,
            digest=skill.digest,
            size=skill.size,
            skill_id=skill.skill_id,
            version=skill.version,
        )
        for skill in skills
    ]
    try:
        for row, skill in zip(rows, skills, strict=True):
            await asyncio.to_thread(_keep, skill.bundle, stored_file_path(row.id))
        yield rows
    except BaseException:
        await asyncio.to_thread(_forget, rows)
        raise
    await asyncio.to_thread(_forget, [row for row in rows if not row.position])


def _keep(bundle: bytes | uuid.UUID, path: Path) -> None:
    if isinstance(bundle, bytes):
        stored_file_write(path, io.BytesIO(bundle).read)
        return
    source = stored_file_path(bundle)
    try:
        try:
            os.link(source, path)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            shutil.copyfile(source, path)
        # It has the age of the version's file: too old for one that no row names.
        os.utime(path)
    except FileNotFoundError as error:
        raise NotFoundError("A version of a skill was deleted meanwhile.") from error
    except OSError as error:
        raise DiskFullError(f"The server's disk: {error.strerror}.") from error


def _forget(rows: Iterable[SessionSkill]) -> None:
    for row in rows:
        with contextlib.suppress(OSError):
            stored_file_path(row.id).unlink(missing_ok=True)


def skills_add_now(session: Session, rows: Sequence[SessionSkill]) -> None:
    """Those the session does not have yet, in their order. Within a transaction that holds the
    session's row. Raises: InvalidInputError when it would have too many."""
    there = list(SessionSkill.objects.filter(session=session).order_by("position"))
    taken = {(row.name, row.digest) for row in there}
    fresh: list[SessionSkill] = []
    position = there[-1].position if there else 0
    for row in rows:
        if (row.name, row.digest) in taken:
            continue
        taken.add((row.name, row.digest))
        position += 1
        row.session, row.position = session, position
        fresh.append(row)
    if not fresh:
        return
    skills_check_room([*there, *fresh])
    SessionSkill.objects.bulk_create(fresh)
    log.append_now(session.id, [SkillsAdded([_told(row) for row in fresh])])


def _told(row: SessionSkill) -> dict[str, object]:
    told: dict[str, object] = {"name": row.name, "path": skill_path(row.name, row.digest)}
    if row.skill_id is not None:
        told |= {"skill_id": str(row.skill_id), "version": row.version}
    return told
