"""Bring a session's skills into its container, and tell the model of them.

Rows say which skills a session has and which container was last given them, so a new container,
whyever there is one, is given them before anything else is done with it.
"""

import asyncio
import dataclasses
import tarfile
import uuid
import zipfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from sessions.agent.loop import TurnState
from sessions.agent.skills import SkillOnOffer, skills_message
from sessions.errors import FileAccessError, InvalidInputError, SandboxError
from sessions.models import SessionSkill
from sessions.sandbox.base import Sandbox
from sessions.sandbox.names import skill_folder, skill_path
from sessions.services import stored_file_path

_BLOCK = tarfile.BLOCKSIZE


async def bring_skills(session_id: uuid.UUID, container_id: str, sandbox: Sandbox) -> None:
    """Those that this container does not have yet. Doing it twice is doing it once.

    Raises: SandboxError, which says that it is about the skills unless the channel broke."""
    rows = SessionSkill.objects.filter(session_id=session_id).exclude(installed_in=container_id)
    missing = [row async for row in rows.order_by("position")]
    if not missing:
        return
    try:
        async with aclosing(_archive(missing)) as pieces:
            await sandbox.add_skills(pieces)
    except (FileAccessError, InvalidInputError) as error:
        raise SandboxError(f"The skills could not be put there: {error.message}.") from error
    ids = [row.id for row in missing]
    await SessionSkill.objects.filter(id__in=ids).aupdate(installed_in=container_id)


async def _archive(skills: Sequence[SessionSkill]) -> AsyncGenerator[bytes]:
    """A tar archive, one file at a time: its folders are those that the model is told of."""
    for skill in skills:
        folder = skill_folder(skill.name, skill.digest)
        archive = await asyncio.to_thread(_open, skill)
        try:
            for info in archive.infolist():
                yield await asyncio.to_thread(_member, archive, info, folder)
        finally:
            await asyncio.to_thread(archive.close)
    yield bytes(2 * _BLOCK)


def _open(skill: SessionSkill) -> zipfile.ZipFile:
    """Raises: SandboxError."""
    try:
        return zipfile.ZipFile(stored_file_path(skill.id))
    except (OSError, zipfile.BadZipFile) as error:
        message = f"The files of the skill {skill.name} are no longer on the server."
        raise SandboxError(message) from error


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, folder: str) -> bytes:
    """Its paths are those of a checked bundle, below a folder of the skill's name."""
    content = archive.read(info)
    member = tarfile.TarInfo(f"{folder}/{info.filename.partition('/')[2]}")
    member.size = len(content)
    member.mode = info.external_attr >> 16 & 0o777
    head = member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return head + content + bytes(-len(content) % _BLOCK)


async def skills_of(session_id: uuid.UUID) -> list[SkillOnOffer]:
    rows = SessionSkill.objects.filter(session_id=session_id).order_by("position")
    return [
        SkillOnOffer(row.name, row.description, skill_path(row.name, row.digest))
        async for row in rows
    ]


def with_skills(state: TurnState, skills: Sequence[SkillOnOffer]) -> TurnState:
    """Told once, before all that was said, as a conversation is put together anew for each turn;
    but behind what a program begins with as its developer: that comes first for many models."""
    if not skills:
        return state
    items = list(state.items)
    begins = (i for i, one in enumerate(items) if getattr(one, "role", "user") == "user")
    items.insert(next(begins, len(items)), skills_message(skills))
    return dataclasses.replace(state, items=items)
