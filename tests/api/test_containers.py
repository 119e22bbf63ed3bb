"""Containers as objects: made, listed, looked at, deleted; by their owner and by nobody else."""

import uuid

import openai
import pytest
from django.contrib.auth.models import User

from sessions.api.views import containers
from sessions.errors import DiskFullError
from sessions.models import Session
from sessions.responses.ids import CONTAINER, format_id
from sessions.runtime.wiring import runtime
from sessions.sandbox.limits import GIB, Limits


async def test_a_container_is_made_as_it_was_asked_for(
    client: openai.AsyncOpenAI, alice: User
) -> None:
    made = await client.containers.create(
        name="Harbour",
        memory_limit="1g",
        expires_after={"anchor": "last_active_at", "minutes": 90},
        network_policy={"type": "disabled"},
        extra_body={"cpus": 0.5, "disk_gb": 2},
    )
    assert made.name == "Harbour"
    assert (made.status, made.memory_limit) == ("running", "1g")
    assert made.expires_after is not None
    assert made.expires_after.minutes == 90
    assert made.network_policy is not None
    assert made.network_policy.type == "disabled"
    session = await Session.objects.aget()
    assert format_id(CONTAINER, session.id) == made.id
    limits = Limits.from_json(session.limits)
    assert (limits.memory_bytes, limits.cpus, limits.disk_bytes) == (GIB, 0.5, 2 * GIB)
    assert (session.owner_id, session.expires_after_s, session.status) == (alice.pk, 5400, "idle")
    extra = made.model_extra or {}
    assert extra["live_url"].endswith(f"/sessions/{session.id}/")
    assert (extra["state"], extra["cpus"]) == ("pending", 0.5)


@pytest.mark.parametrize("name", ["# 1 `log`", "x" * 200, "Æther ☕", "-"])
async def test_a_name_comes_back_as_it_was_and_finds_its_container(
    client: openai.AsyncOpenAI, name: str
) -> None:
    made = await client.containers.create(name=name)
    assert made.name == name
    assert [one.id async for one in client.containers.list(name=name)] == [made.id]


async def test_a_container_whose_files_do_not_fit_is_not_left_over(
    client: openai.AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise DiskFullError("There is no room for it.")

    monkeypatch.setattr(containers, "put_stored_file", fails)
    kept = await client.files.create(file=("a", b"x"), purpose="user_data")
    with pytest.raises(openai.APIStatusError) as raised:
        await client.containers.create(name="Full", file_ids=[kept.id])
    assert raised.value.status_code == 507
    assert [one async for one in client.containers.list()] == []


async def test_without_options_it_is_as_the_installation_says(client: openai.AsyncOpenAI) -> None:
    made = await client.containers.create(name="Plain")
    default = runtime().limits_default
    session = await Session.objects.aget()
    assert Limits.from_json(session.limits) == default
    assert session.image == runtime().config.default_image
    assert await client.containers.retrieve(made.id) is not None


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"cpus": 10_000}, "cpus"),
        ({"cpus": 1e-9}, "cpus"),
        ({"disk_gb": 1e9}, "disk_gb"),
        ({"disk_gb": 1e-9}, "disk_gb"),
        ({"image": "of/nobody"}, "image"),
    ],
)
async def test_more_or_less_than_is_allowed_is_refused(
    client: openai.AsyncOpenAI, options: dict[str, object], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.containers.create(name="Greedy", extra_body=options)
    assert raised.value.param == param
    assert not await Session.objects.aexists()


async def test_lists_come_in_pages_in_both_orders(client: openai.AsyncOpenAI) -> None:
    names = [f"n{number}" for number in range(5)]
    for name in names:
        await client.containers.create(name=name)
    newest_first = [one.name async for one in client.containers.list(limit=2)]
    assert newest_first == names[::-1]
    assert [one.name async for one in client.containers.list(limit=2, order="asc")] == names
    page = await client.containers.list(limit=2)
    assert [one.name for one in page.data] == ["n4", "n3"]
    assert page.has_more
    assert [one.name async for one in client.containers.list(name="n2")] == ["n2"]


@pytest.mark.parametrize("limit", [0, 101, -1])
async def test_a_page_has_from_1_to_100(client: openai.AsyncOpenAI, limit: int) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.containers.list(limit=limit)
    assert raised.value.param == "limit"


async def test_a_page_begins_behind_what_the_caller_can_see(
    client: openai.AsyncOpenAI, bobs_client: openai.AsyncOpenAI
) -> None:
    bobs = await bobs_client.containers.create(name="bob's")
    answers = []
    for after in (bobs.id, format_id(CONTAINER, uuid.uuid4()), "nonsense"):
        with pytest.raises(openai.BadRequestError) as raised:
            await client.containers.list(after=after)
        answers.append(str(raised.value).replace(after, "ID"))
    assert len(set(answers)) == 1


async def test_an_empty_list_is_whole(client: openai.AsyncOpenAI) -> None:
    page = await client.containers.list()
    assert (page.data, page.has_more) == ([], False)


async def test_deleting_hides_it_at_once(client: openai.AsyncOpenAI) -> None:
    made = await client.containers.create(name="Gone soon")
    await client.containers.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.containers.retrieve(made.id)
    assert [one async for one in client.containers.list()] == []


async def test_another_users_container_is_as_one_that_never_was(
    client: openai.AsyncOpenAI, bobs_client: openai.AsyncOpenAI
) -> None:
    hers = (await client.containers.create(name="alice's")).id
    none = format_id(CONTAINER, uuid.uuid4())
    told = []
    for container_id in (hers, none, "cntr_nonsense"):
        for verb in (bobs_client.containers.retrieve, bobs_client.containers.delete):
            with pytest.raises(openai.NotFoundError) as raised:
                await verb(container_id)
            told.append(str(raised.value).replace(container_id, "ID"))
    assert len(set(told)) == 1
    assert [one async for one in bobs_client.containers.list()] == []
    assert (await client.containers.retrieve(hers)).name == "alice's"
