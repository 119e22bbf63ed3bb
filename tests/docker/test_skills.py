"""Skills in real containers: there, readable, unchangeable, and there again."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from sessions import services
from sessions.models import ContainerState, PooledContainer, Session, SessionSkill
from sessions.runtime.archives import Archives
from sessions.runtime.pool import PoolConfig, PoolSize
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.skills import bring_skills
from sessions.sandbox import names
from sessions.sandbox.base import ExecEnded, ExecOutput, ExecRequest, Sandbox
from sessions.sandbox.channel import open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.limits import Limits
from sessions.services import NewSkill, skill_sent
from sessions.workspace.skills import SkillFile, bundle_of_files
from tests.docker.conftest import SMALL_LIMITS

pytestmark = [pytest.mark.docker, pytest.mark.slow]
SCRIPT = b"#!/bin/sh\necho tide is high\n"


def tides() -> NewSkill:
    manifest = b"---\nname: tides\ndescription: Tells the tide.\n---\nRun tell.sh.\n"
    bundle = bundle_of_files(
        [SkillFile("t/SKILL.md", manifest), SkillFile("t/tell.sh", SCRIPT, is_executable=True)]
    )
    return skill_sent(name=bundle.name, description=bundle.description, bundle=bundle.to_zip())


TIDES = tides()
PATH = names.skill_path(TIDES.name, TIDES.digest)


async def make_session(alice: User, *skills: NewSkill, image: str = names.SLIM_IMAGE) -> Session:
    return await services.container_create(
        owner=alice,
        name="Tides",
        provider="scripted",
        model="scripted",
        image=image,
        limits=SMALL_LIMITS,
        skills=skills or (TIDES,),
    )


@pytest.fixture
async def sandboxes(
    backend: DockerBackend, tmp_path: Path, settings: Any
) -> AsyncIterator[Sandboxes]:
    settings.VAR_DIR = tmp_path
    made = Sandboxes(backend, open_channel, archives=Archives(tmp_path / "archives"))
    yield made
    await made.close_channels()


async def said(sandbox: Sandbox, script: str) -> tuple[int | None, str]:
    """Exit code and all output of a command, as an agent's would be."""
    command = await sandbox.exec(ExecRequest(uuid.uuid4().hex, ("/bin/sh", "-c", script)))
    output = b""
    async for item in command:
        if isinstance(item, ExecOutput):
            output += item.data
            await command.ack(item.stream, item.offset + len(item.data))
        if isinstance(item, ExecEnded):
            return item.ending.exit_code, output.decode()
    raise AssertionError("no end")


async def check_is_there(sandbox: Sandbox) -> None:
    assert await said(sandbox, f"{PATH}/tell.sh") == (0, "tide is high\n")


async def test_commands_read_and_run_it_and_cannot_change_it(
    sandboxes: Sandboxes, alice: User
) -> None:
    sandbox = await sandboxes.connect(await make_session(alice))
    await check_is_there(sandbox)
    assert (await said(sandbox, "id -u"))[1] == "1000\n"
    hosted = PATH.replace(names.SKILLS_PATH, "/home/oai/skills")
    code, text = await said(sandbox, f"ls {hosted}; cat {hosted}/SKILL.md")
    assert code == 0
    assert text.startswith("SKILL.md\ntell.sh\n---\nname: tides\n")
    for attempt in (
        f"echo x >> {PATH}/SKILL.md",
        f"rm -f {PATH}/SKILL.md",
        f"touch {PATH}/more",
        f"mv {PATH} {names.SKILLS_PATH}/other",
        f"touch {names.SKILLS_PATH}/more",
        f"mv {names.SKILLS_PATH} /elsewhere",
        "rm /home/oai/skills",
        f"chmod -R a+w {PATH}",
    ):
        assert (await said(sandbox, attempt))[0] != 0, attempt
    await check_is_there(sandbox)
    assert (await sandbox.list_dir("")) == [], "it is no part of the workspace"
    used = (await sandbox.usage()).disk_used_bytes
    assert used is None or used < 1 << 20


async def test_it_is_in_an_image_that_holds_nothing_but_busybox(
    sandboxes: Sandboxes, alice: User, busybox_image: str
) -> None:
    sandbox = await sandboxes.connect(await make_session(alice, image=busybox_image))
    await check_is_there(sandbox)


async def test_it_is_there_again_after_rest_loss_restart_and_archive(
    sandboxes: Sandboxes, backend: DockerBackend, alice: User, tmp_path: Path
) -> None:
    session = await make_session(alice)
    sandbox = await sandboxes.connect(session)
    await said(sandbox, "echo kept > file")
    await sandboxes.discard(session, ContainerState.SUSPENDED, "")
    await check_is_there(await sandboxes.connect(session))

    await session.arefresh_from_db()
    await backend.remove(session.container_id)
    await sandboxes.close_channels()
    sandbox = await sandboxes.connect(session)
    await check_is_there(sandbox)
    assert await said(sandbox, "cat file") == (0, "kept\n")

    await sandboxes.close_channels()  # the container goes on, as after a restart of the server
    other = Sandboxes(backend, open_channel, archives=Archives(tmp_path / "archives"))
    await check_is_there(await other.connect(session))
    await other.discard(session, ContainerState.SUSPENDED, "")
    await session.arefresh_from_db()
    await other.archive(session)
    sandbox = await other.connect(session)
    await check_is_there(sandbox)
    assert await said(sandbox, "cat file") == (0, "kept\n")
    await other.close_channels()


async def test_a_container_that_waited_in_the_pool_is_given_it(
    backend: DockerBackend, alice: User, tmp_path: Path, settings: Any
) -> None:
    settings.VAR_DIR = tmp_path
    limits = Limits(memory_bytes=SMALL_LIMITS.memory_bytes)
    pool = PoolConfig({names.SLIM_IMAGE: PoolSize(1)}, limits)
    sandboxes = Sandboxes(
        backend, open_channel, archives=Archives(tmp_path / "archives"), pool=pool
    )
    await sandboxes.pool.fill()
    member = await PooledContainer.objects.aget()
    session = await make_session(alice)
    await check_is_there(await sandboxes.connect(session))
    assert sandboxes.container_id(session) == member.name
    row = await SessionSkill.objects.aget()
    assert row.installed_in == member.name
    await sandboxes.close_channels()


async def test_two_that_bring_it_at_once_bring_it_once(sandboxes: Sandboxes, alice: User) -> None:
    session = await make_session(alice)
    sandbox = await sandboxes.connect(session)
    container_id = sandboxes.container_id(session)
    await SessionSkill.objects.aupdate(installed_in="")
    await asyncio.gather(*(bring_skills(session.id, container_id, sandbox) for _ in range(4)))
    await check_is_there(sandbox)
    assert (await said(sandbox, f"ls -A {names.SKILLS_PATH}"))[1].splitlines() == [
        PATH.rpartition("/")[2]
    ]
