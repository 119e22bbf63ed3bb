"""The page of a session in which a program asks the model itself: nothing of a container is on it."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from sessions import services
from sessions.events import log
from sessions.events.types import ProgramSent
from sessions.models import ChatCompletion, Session
from sessions.runtime.leases import lease_name
from sessions.runtime.process import Runtime
from sessions.runtime.supervisor import Supervisor
from sessions.services import ChatEnd, NewChat
from sessions.services.chat_prefix import digests

MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is <b>new</b>?"},
]
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-one",
    "choices": [{"message": {"role": "assistant", "content": "Nothing is."}}],
}


async def begun(owner: User, lease: str) -> ChatCompletion:
    new = NewChat("scripted", "scripted", {"messages": MESSAGES}, MESSAGES, lease)
    return await services.chat_begin(owner=owner, new=new)


@pytest.fixture
async def chat(alice: User) -> ChatCompletion:
    lease = lease_name()
    made = await begun(alice, lease)
    end = ChatEnd("completed", ANSWER)
    await services.chat_end(chat=made, lease=lease, end=end, messages=MESSAGES)
    return made


def pages_of(chat: ChatCompletion) -> tuple[str, str, str]:
    base = f"/sessions/{chat.session_id}/"
    return base, f"{base}requests/", f"{base}requests/{chat.id}/"


@pytest.mark.usefixtures("sandbox_runtime")
async def test_the_owner_sees_it(
    async_client: AsyncClient, alice: User, chat: ChatCompletion
) -> None:
    await async_client.aforce_login(alice)
    page, requests, one = pages_of(chat)
    text = (await async_client.get(page)).content.decode()
    assert "runs the tools by itself" in text
    assert "What is &lt;b&gt;new&lt;/b&gt;?" in text
    assert requests in text
    for promise in ("panel-terminal", "files-panel", 'id="composer"', "Suspend when", "Memory"):
        assert promise not in text
    text = (await async_client.get(requests)).content.decode()
    assert "chatcmpl-one" in text
    assert one in text
    text = (await async_client.get(one)).content.decode()
    assert "Be brief." in text
    assert "Nothing is." in text
    assert "/events/" not in text
    assert (await async_client.get(f"{one}events/")).status_code == 404
    text = (await async_client.get("/")).content.decode()
    assert "chat of a program" in text


async def test_nobody_else_does(
    async_client: AsyncClient, bob: User, chat: ChatCompletion
) -> None:
    for page in pages_of(chat):
        assert (await async_client.get(page)).status_code == 302
    await async_client.aforce_login(bob)
    for page in pages_of(chat):
        assert (await async_client.get(page)).status_code == 404


@pytest.mark.usefixtures("sandbox_runtime")
async def test_nothing_makes_it_a_container(
    async_client: AsyncClient, alice: User, chat: ChatCompletion
) -> None:
    await async_client.aforce_login(alice)
    page = pages_of(chat)[0]
    headers = {"Accept": "application/json"}
    sent = await async_client.post(f"{page}turns/", {"text": "Hello"}, headers=headers)
    assert sent.status_code == 409
    files = await async_client.get(f"{page}files/list/", headers=headers)
    assert files.status_code == 409
    session = await Session.objects.aget()
    assert (session.container_id, session.container_state) == ("", "pending")


async def test_what_a_program_sent_is_in_the_log(chat: ChatCompletion) -> None:
    assert chat.session_id is not None
    (sent,) = await log.read(chat.session_id, types=("program.sent",))
    assert sent.body == ProgramSent(1, [{"role": "system", "text": "Be brief."}])


async def test_a_call_whose_process_died_is_ended(alice: User, sandbox_runtime: Runtime) -> None:
    # A process of this number was never here.
    host, _, *rest = lease_name().split(":")
    chat = await begun(alice, ":".join([host, "4194305", *rest]))
    supervisor = Supervisor(sandbox_runtime, max_running_turns=1)
    await supervisor._take_over()
    await supervisor.aclose()
    await chat.arefresh_from_db()
    assert chat.status == ChatCompletion.Status.FAILED
    session = await Session.objects.aget()
    assert (session.status, session.lease_owner) == ("failed", "")


def test_additions_of_clients_make_no_other_conversation() -> None:
    function = {"name": "add", "arguments": "{}"}
    call = {"id": "call_1", "type": "function", "function": function}
    answer = {"role": "assistant", "content": None, "tool_calls": [call]}
    returned = {
        "role": "assistant",
        "content": "",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": [{**call, "index": 0, "function": {**function, "parsed_arguments": {}}}],
    }
    assert digests([answer]) == digests([json.loads(json.dumps(returned))])
    other = {**answer, "tool_calls": [{**call, "id": "call_2"}]}
    assert digests([answer]) != digests([other])
    assert digests([answer, other])[0] == digests([answer])[0]
