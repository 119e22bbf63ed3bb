"""What is another user's is not there: each operation answers as for an id that nobody has."""

import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx2
import pytest
from django.contrib.auth.models import User

from sessions import services
from tests.api.conftest import ClientOf, HttpOf
from tests.api.fuzz.seeds import SKILL, make_seeds
from tests.api.own_document import own

Ids: TypeAlias = dict[str, str]
Body: TypeAlias = dict[str, Any]
HELLO = {"role": "user", "content": "Hello!"}
BODIES: dict[str, Callable[[Ids], Body]] = {
    "updateChatCompletion": lambda own: {"json": {"metadata": {"a": "b"}}},
    "execContainer": lambda own: {"json": {"command": "true"}},
    "createContainerFile": lambda own: {"json": {"file_id": own["file_id"]}},
    "updateConversation": lambda own: {"json": {"metadata": {}}},
    "createConversationItem": lambda own: {"json": {"items": [HELLO]}},
    "updateSkill": lambda own: {"json": {"default_version": "1"}},
    "createSkillVersion": lambda own: {"files": {"files": ("tides/SKILL.md", SKILL)}},
    "updateVectorStore": lambda own: {"json": {"name": "Ebb"}},
    "createVectorStoreFileBatch": lambda own: {"json": {"file_ids": [own["file_id"]]}},
    "createVectorStoreFile": lambda own: {"json": {"file_id": own["file_id"]}},
    "updateVectorStoreFile": lambda own: {"json": {"attributes": {}}},
    "searchVectorStore": lambda own: {"json": {"query": "tides"}},
}
"""What is sent with an operation that takes a body, of the ids of whoever asks."""


def shell_in(container: str) -> Body:
    place = {"type": "container_reference", "container_id": container}
    return {"type": "shell", "environment": place}


NAMED: list[tuple[str, str, Callable[[str, Ids], Body]]] = [
    ("/responses", "response_id", lambda one, _: {"previous_response_id": one}),
    ("/responses", "conversation_id", lambda one, _: {"conversation": one}),
    ("/responses", "container_id", lambda one, _: {"tools": [shell_in(one)]}),
    (
        "/responses",
        "container_id",
        lambda one, _: {"tools": [{"type": "code_interpreter", "container": one}]},
    ),
    (
        "/responses",
        "store_id",
        lambda one, _: {"tools": [{"type": "file_search", "vector_store_ids": [one]}]},
    ),
    (
        "/responses",
        "file_id",
        lambda one, _: {
            "tools": [{"type": "shell"}],
            "input": [{"role": "user", "content": [{"type": "input_file", "file_id": one}]}],
        },
    ),
    (
        "/responses",
        "skill_id",
        lambda one, _: {
            "tools": [
                {
                    "type": "shell",
                    "environment": {
                        "type": "container_auto",
                        "skills": [{"type": "skill_reference", "skill_id": one}],
                    },
                }
            ]
        },
    ),
    (
        "/responses",
        "item_id",
        lambda one, own: {
            "conversation": own["conversation_id"],
            "input": [{"type": "item_reference", "id": one}],
        },
    ),
    ("/responses/compact", "response_id", lambda one, _: {"previous_response_id": one}),
    ("/responses/input_tokens", "response_id", lambda one, _: {"previous_response_id": one}),
    ("/responses/input_tokens", "conversation_id", lambda one, _: {"conversation": one}),
    ("/containers", "file_id", lambda one, _: {"name": "x", "file_ids": [one]}),
    (
        "/containers",
        "skill_id",
        lambda one, _: {"name": "x", "skills": [{"type": "skill_reference", "skill_id": one}]},
    ),
    ("/containers/{container_id}/files", "file_id", lambda one, _: {"file_id": one}),
    ("/vector_stores", "file_id", lambda one, _: {"file_ids": [one]}),
    ("/vector_stores/{store_id}/files", "file_id", lambda one, _: {"file_id": one}),
    (
        "/vector_stores/{store_id}/file_batches",
        "file_id",
        lambda one, own: {"file_ids": [own["file_id"], one]},
    ),
]
"""Where else an id is named: address, kind, and a body that names it."""
LISTS = [
    ("/files", "file_id"),
    ("/containers", "container_id"),
    ("/skills", "skill_id"),
    ("/vector_stores", "store_id"),
    ("/chat/completions", "completion_id"),
    ("/containers/{container_id}/files", "container_file_id"),
    ("/conversations/{conversation_id}/items", "item_id"),
    ("/vector_stores/{store_id}/files", "file_id"),
    ("/vector_stores/{store_id}/file_batches/{batch_id}/files", "file_id"),
]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]


def operations() -> list[tuple[str, str, str]]:
    """Method, address and name of each that names something, deletions last and of parts first."""
    found = [
        (method.upper(), path, one["operationId"])
        for path, methods in own()["paths"].items()
        for method, one in methods.items()
        if "{" in path and "{model}" not in path
    ]
    return sorted(found, key=lambda one: (one[0] == "DELETE", -one[1].count("/"), one[1]))


def in_path(ids: Ids, path: str, name: str) -> str:
    is_inside = name == "file_id" and path.startswith("/containers/")
    return ids["container_file_id" if is_inside else name]


def nobodys(ids: Ids) -> Ids:
    """Of the same forms."""
    return {
        name: re.sub(
            r"(?<=[-_])[0-9A-Za-z]+$", lambda found: uuid.uuid4().hex[: len(found[0])], value
        )
        for name, value in ids.items()
    }


@dataclass(frozen=True, slots=True)
class Asker:
    http: httpx2.AsyncClient
    own: Ids

    async def told(self, ids: Ids, method: str, path: str, **sent: Any) -> tuple[int, str]:
        """Status and text of the answer, without the ids themselves."""
        answer = await self.http.request(method, path, **sent)
        text = answer.text
        for value in ids.values():
            if len(value) > 8:
                text = text.replace(value, "ID")
        return answer.status_code, text


AskerOf: TypeAlias = Callable[[User], Awaitable[Asker]]


@pytest.fixture
def asker_of(client_of: ClientOf, http_of: HttpOf) -> AskerOf:
    async def make(user: User) -> Asker:
        _, secret = await services.api_key_create(user=user, name="walk")
        return Asker(http_of(secret), await make_seeds(client_of(secret)))

    return make


async def test_another_users_ids_are_answered_as_those_that_nobody_has(
    alice: User, bob: User, asker_of: AskerOf
) -> None:
    """Each id of a path in turn, those before it being one's own."""
    owner, other = await asker_of(alice), await asker_of(bob)
    missing = nobodys(owner.own)
    asked = 0
    for method, path, name in operations():
        sent = BODIES[name](other.own) if name in BODIES else {}
        named = [one for one in re.findall(r"{(\w+)}", path) if one.endswith("_id")]
        for own_ones in range(len(named)):
            answers = []
            for ids in (owner.own, missing):
                there = path
                for place, one in enumerate(named):
                    of = other.own if place < own_ones else ids
                    there = there.replace(f"{{{one}}}", in_path(of, path, one))
                there = there.replace("{version}", "1")
                answers.append(await other.told(ids, method, there, **sent))
            assert answers[0] == answers[1], f"{method} {path}, {named[own_ones]}"
            assert answers[0][0] == 404, f"{method} {path}: {answers[0][1]}"
            asked += 1
    assert asked > 60
    await owner_finds_them(owner)


async def owner_finds_them(owner: Asker) -> None:
    """The same requests mean something: whose the ids are is not told that they are not there."""
    for method, path, name in operations():
        there = path.replace("{version}", "1")
        for one in re.findall(r"{(\w+)}", there):
            there = there.replace(f"{{{one}}}", in_path(owner.own, path, one))
        sent = BODIES[name](owner.own) if name in BODIES else {}
        status, text = await owner.told(owner.own, method, there, **sent)
        assert status != 404, f"{method} {path}: {text}"
        assert status < 500, f"{method} {path}: {text}"


async def test_ids_of_others_named_in_bodies_are_answered_alike(
    alice: User, bob: User, asker_of: AskerOf
) -> None:
    owner, other = await asker_of(alice), await asker_of(bob)
    missing = nobodys(owner.own)
    for path, kind, body in NAMED:
        there = path.format(**other.own)
        whole: Body = {"model": "scripted", "input": "Hello!"} if "responses" in path else {}
        answers = [
            await other.told(ids, "POST", there, json={**whole, **body(ids[kind], other.own)})
            for ids in (owner.own, missing)
        ]
        assert answers[0] == answers[1], f"{path}, {kind}"
        assert answers[0][0] in (400, 404), f"{path}, {kind}: {answers[0]}"
        own_answer = await other.http.post(
            there, json={**whole, **body(other.own[kind], other.own)}
        )
        assert own_answer.status_code == 200, f"{path}, {kind}: {own_answer.text}"


@pytest.mark.parametrize(("path", "kind"), LISTS)
async def test_a_list_goes_on_after_no_id_of_another(
    alice: User, bob: User, asker_of: AskerOf, path: str, kind: str
) -> None:
    owner, other = await asker_of(alice), await asker_of(bob)
    there = path.format(**other.own)
    answers = [
        await other.told(ids, "GET", f"{there}?after={ids[kind]}")
        for ids in (owner.own, nobodys(owner.own))
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] in (400, 404)
