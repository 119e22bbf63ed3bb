"""A person's skills: seen, added, chosen, taken home, deleted; by nobody else."""

import io
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient

from sessions import services
from sessions.models import SessionSkill, Skill, SkillVersion
from sessions.workspace.skills import SkillFile, bundle_of_files, bundle_of_zip


def packed(description: str = "Tells the tide.", name: str = "tides") -> bytes:
    manifest = f"---\nname: {name}\ndescription: {description}\n---\nLook.\n".encode()
    return bundle_of_files([SkillFile("t/SKILL.md", manifest)]).to_zip()


def form(data: bytes, **more: str) -> dict[str, Any]:
    return {"bundle": SimpleUploadedFile("skill.zip", data, "application/zip"), **more}


@pytest.fixture
async def skill(alice: User) -> Skill:
    made, _ = await services.skill_create(
        owner=alice, name="tides", description="<b>Tells</b>", bundle=packed()
    )
    return made


async def body(answer: Any) -> bytes:
    if not answer.streaming:
        return bytes(answer.content)
    return b"".join([piece async for piece in answer])


async def test_a_zip_becomes_a_skill_and_comes_back(alices: AsyncClient, alice: User) -> None:
    answer = await alices.post("/skills/new/", form(packed()))
    assert (answer.status_code, answer["Location"]) == (303, "/skills/")
    page = (await alices.get("/skills/")).content.decode()
    assert "Tells the tide." in page
    made = await Skill.objects.aget()
    assert made.owner_id == alice.pk
    assert f"skill_{made.id.hex}" in page, "as programs name it"
    content = await alices.get(f"/skills/{made.id}/versions/1/content/")
    assert content["Content-Disposition"].startswith('attachment; filename="tides-1.zip"')
    assert bundle_of_zip(await body(content)).description == "Tells the tide."


async def test_what_a_skill_says_of_itself_is_text(alices: AsyncClient, skill: Skill) -> None:
    page = (await alices.get("/skills/")).content.decode()
    assert "&lt;b&gt;Tells&lt;/b&gt;" in page
    assert "<b>Tells" not in page


async def test_versions_are_added_chosen_and_deleted(alices: AsyncClient, skill: Skill) -> None:
    versions = f"/skills/{skill.id}/versions/"
    await alices.post(versions, form(packed("Second.")))
    await alices.post(versions, form(packed("Third."), default="1"))
    await skill.arefresh_from_db()
    assert skill.default_version == 3
    assert (await alices.post(f"{versions}2/default/")).status_code == 303
    await skill.arefresh_from_db()
    assert skill.default_version == 2
    refused = await alices.post(f"{versions}2/delete/")
    assert refused.status_code == 409
    assert b"become the default first" in refused.content
    assert (await alices.post(f"{versions}1/delete/")).status_code == 303
    numbers = [one.number async for one in SkillVersion.objects.order_by("number")]
    assert numbers == [2, 3]
    assert (await alices.post(f"/skills/{skill.id}/delete/")).status_code == 303
    assert not await Skill.objects.aexists()
    assert b"No skills yet" in (await alices.get("/skills/")).content


def other_zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("t/readme.md", "x")
    return data.getvalue()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (form(b"no zip"), "not a zip"),
        (form(other_zip()), "exactly one SKILL.md"),
        ({}, "Choose a zip"),
        ({"bundle": "text"}, "Choose a zip"),
    ],
)
async def test_what_is_no_skill_is_said_and_not_kept(
    alices: AsyncClient, skill: Skill, settings: Any, sent: dict[str, Any], said: str
) -> None:
    for path in ("/skills/new/", f"/skills/{skill.id}/versions/"):
        if hasattr(sent.get("bundle"), "seek"):
            sent["bundle"].seek(0)
        answer = await alices.post(path, sent)
        assert answer.status_code == 422
        assert said in answer.content.decode()
    assert await SkillVersion.objects.acount() == 1
    assert len(list((Path(settings.VAR_DIR) / "files").iterdir())) == 1


def addresses(skill_id: uuid.UUID) -> list[tuple[str, str]]:
    versions = f"/skills/{skill_id}/versions/"
    return [
        ("get", f"{versions}1/content/"),
        ("post", versions),
        ("post", f"{versions}1/default/"),
        ("post", f"{versions}1/delete/"),
        ("post", f"/skills/{skill_id}/delete/"),
    ]


async def test_anothers_skill_is_as_one_that_never_was(
    bobs: AsyncClient, admins: AsyncClient, skill: Skill, unknown_id: uuid.UUID
) -> None:
    for client in (bobs, admins):
        assert "tides" not in (await client.get("/skills/")).content.decode()
        for skill_id in (skill.id, unknown_id):
            for method, path in addresses(skill_id):
                assert (await getattr(client, method)(path)).status_code == 404, path
    assert await SkillVersion.objects.acount() == 1


async def test_a_stranger_is_sent_to_sign_in(skill: Skill) -> None:
    stranger = AsyncClient()
    for method, path in [("get", "/skills/"), ("post", "/skills/new/"), *addresses(skill.id)]:
        answer = await getattr(stranger, method)(path)
        assert answer.status_code == 302, path
        assert answer["Location"].startswith("/sign-in/")
    assert await SkillVersion.objects.acount() == 1


async def test_nothing_is_changed_by_looking(alices: AsyncClient, skill: Skill) -> None:
    for method, path in addresses(skill.id):
        if method == "post":
            assert (await alices.get(path)).status_code == 405


TASK = {"task": "Tell the tide", "choice": "scripted:scripted", "image": "berth/sandbox"}


async def test_a_new_session_has_the_skills_that_were_chosen(
    alices: AsyncClient, skill: Skill
) -> None:
    await services.skill_version_create(
        skill=skill, name="tides", description="Newer.", bundle=packed("Newer."), is_default=True
    )
    page = (await alices.get("/")).content.decode()
    assert f'name="skills" value="{skill.id}"' in page
    answer = await alices.post("/sessions/", {**TASK, "skills": [str(skill.id)]})
    assert answer.status_code == 303
    row = await SessionSkill.objects.select_related("session").aget()
    assert (row.name, row.version, row.description) == ("tides", 2, "Newer.")
    assert row.session.title == "Tell the tide"
    assert (await alices.post("/sessions/", TASK)).status_code == 303
    assert await SessionSkill.objects.acount() == 1


async def test_who_has_no_skills_is_not_asked(bobs: AsyncClient, skill: Skill) -> None:
    assert 'name="skills"' not in (await bobs.get("/")).content.decode()


async def test_anothers_skill_cannot_be_chosen(
    bobs: AsyncClient, skill: Skill, unknown_id: uuid.UUID
) -> None:
    for skill_id in (skill.id, unknown_id, "nonsense"):
        answer = await bobs.post("/sessions/", {**TASK, "skills": [str(skill_id)]})
        assert answer.status_code == 422
        assert "no longer there" in answer.content.decode()
    assert not await SessionSkill.objects.aexists()
