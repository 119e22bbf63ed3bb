"""Responses under programs, models and endpoints that do not behave."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import openai
import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from typing_extensions import override

from sessions import services
from sessions.api import response_stream
from sessions.models import ApiResponse, Event, Session, Turn, TurnStatus
from sessions.providers.base import (
    AssistantMessage,
    Delta,
    ItemDone,
    ModelRequest,
    TextDelta,
    ToolCall,
)
from sessions.providers.scripted import ScriptedProvider
from sessions.responses.settle import settle_left_over
from sessions.runtime.process import Runtime
from sessions.runtime.reaper import stop_abandoned
from sessions.runtime.supervisor import Supervisor
from tests.api.conftest import ClientOf
from tests.api.test_responses import until
from tests.scripted_models import ScriptedModels

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]
Client: TypeAlias = Any
SHELL: Any = {"type": "shell"}


def printed(response: Any) -> list[str]:
    outputs = [item for item in response.output if item.type == "shell_call_output"]
    return [output.output[0].stdout for output in outputs]


def in_container(container_id: str) -> Any:
    where = {"type": "container_reference", "container_id": container_id}
    return [{"type": "shell", "environment": where}]


@dataclasses.dataclass(slots=True)
class SameIds(ScriptedProvider):
    """Counts its calls from 0 in each answer, as some endpoints do."""

    @override
    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        async for delta in ScriptedProvider.stream(self, request):
            match delta:
                case ItemDone(ToolCall() as call):
                    yield ItemDone(dataclasses.replace(call, tool_call_id="call_0"))
                case _:
                    yield delta


async def test_the_same_id_of_a_call_in_another_response_runs_its_own_command(
    client: Client, sandbox_runtime: Runtime
) -> None:
    sandbox_runtime.models = ScriptedModels(SameIds())
    container = await client.containers.create(name="Harbour")
    for word in ("first", "second"):
        made = await client.responses.create(
            model="m", input=f"```bash\necho {word}\n```", tools=in_container(container.id)
        )
        assert printed(made) == [f"{word}\n"]


async def test_a_key_of_staff_reaches_no_container_of_others(
    client: Client, admin: User, client_of: ClientOf
) -> None:
    container = await client.containers.create(name="Harbour")
    _, secret = await services.api_key_create(user=admin, name="staff")
    staff: Client = client_of(secret)
    with pytest.raises(openai.NotFoundError):
        await staff.containers.retrieve(container.id)
    with pytest.raises(openai.NotFoundError):
        await staff.responses.create(
            model="m", input="```bash\nls\n```", tools=in_container(container.id)
        )


async def test_files_that_are_named_again_do_not_undo_what_was_made_of_them(
    client: Client,
) -> None:
    kept = await client.files.create(file=("d.txt", b"original\n"), purpose="user_data")
    where = {"type": "container_auto", "file_ids": [kept.id]}
    tools: Any = [{"type": "shell", "environment": where}]
    first = await client.responses.create(
        model="m", input="```bash\necho edited >> d.txt\n```", tools=tools
    )
    second = await client.responses.create(
        model="m", input="```bash\ncat d.txt\n```", tools=tools, previous_response_id=first.id
    )
    assert printed(second) == ["original\nedited\n"]


async def test_files_of_one_that_was_taken_back_do_not_arrive(client: Client) -> None:
    container = await client.containers.create(name="Harbour")
    tools = in_container(container.id)
    first = await client.responses.create(
        model="m", input="```bash\nsleep 60\n```", tools=tools, background=True
    )
    data = {"type": "input_file", "filename": "ghost.txt", "file_data": "data:;base64,eA=="}
    second = await client.responses.create(
        model="m", input=[{"role": "user", "content": [data]}], tools=tools, background=True
    )
    await client.responses.cancel(second.id)
    await client.responses.cancel(first.id)
    third = await client.responses.create(model="m", input="```bash\nls\n```", tools=tools)
    assert printed(third) == [""]


BODIES: dict[str, bytes] = {
    "half a character": b'{"model": "m", "input": "x\\ud800"}',
    "a NUL": b'{"model": "m", "input": "x\\u0000", "prompt_cache_key": "\\u0000"}',
    "very deep": b'{"model": "m", "input": "x", "metadata": ' + b"[" * 300 + b"]" * 300 + b"}",
    "no number": b'{"model": "m", "input": "x", "temperature": NaN}',
    "blanks": b'{"model": "m", "input": "  "}',
    "base64 that is none": (
        '{"model": "m", "tools": [{"type": "shell"}], "input": [{"role": "user", "content": '
        '[{"type": "input_file", "filename": "f", "file_data": "data:;base64,é"}]}]}'
    ).encode(),
    "a found tool that is none": (
        b'{"model": "m", "input": ['
        b'{"type": "tool_search_call", "call_id": "c", "arguments": {}},'
        b'{"type": "tool_search_output", "call_id": "c", "tools": [{"type": "function"},'
        b'{"type": "namespace", "tools": ["x"]}, {"type": "function", "name": "shell"}]}]}'
    ),
    "a name that is too long": (
        b'{"model": "m", "input": [{"role": "user", "content": "x", "id": "' + b"x" * 101 + b'"}]}'
    ),
}


@pytest.mark.parametrize("name", BODIES)
async def test_no_body_breaks_the_server(client: Client, name: str) -> None:
    """Answered or refused, and what is answered can be asked for again."""
    http = client._client
    headers = {"Authorization": f"Bearer {client.api_key}", "Content-Type": "application/json"}
    answer = await http.post(f"{client.base_url}responses", content=BODIES[name], headers=headers)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        found = await client.responses.retrieve(answer.json()["id"])
        assert found.status == "completed"


async def test_a_reference_names_an_item_once(client: Client) -> None:
    first = await client.responses.create(model="m", input="x" * 1000)
    reference: Any = {"type": "item_reference", "id": first.output[0].id}
    await client.responses.create(model="m", input=[reference], previous_response_id=first.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(
            model="m", input=[reference] * 2, previous_response_id=first.id
        )


@dataclasses.dataclass(slots=True)
class Modest(ScriptedProvider):
    """Takes nothing but words, as a small model does."""

    takes: frozenset[Any] = frozenset()


WANTED: dict[str, tuple[dict[str, Any], str]] = {
    "a temperature": ({"temperature": 1.0}, "temperature"),
    "a format": ({"text": {"format": {"type": "json_object"}}}, "text.format"),
    "effort": ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
    "a choice": ({"tools": [SHELL], "tool_choice": "required"}, "tool_choice"),
    "a function": (
        {"tools": [{"type": "function", "name": "f", "parameters": {}}]},
        "tools[0]",
    ),
    "an image": (
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]}]},
        "input[0].content",
    ),
}


@pytest.mark.parametrize("name", WANTED)
async def test_what_the_model_could_only_ignore_is_refused(
    client: Client, sandbox_runtime: Runtime, name: str
) -> None:
    sandbox_runtime.models = ScriptedModels(Modest())
    body, param = WANTED[name]
    with pytest.raises(openai.BadRequestError) as refused:
        await client.post("/responses", body={"input": "x", **body}, cast_to=object)
    assert (refused.value.param, refused.value.code) == (param, "unsupported_parameter")


async def test_a_model_that_may_call_no_tool_runs_nothing(client: Client) -> None:
    await client.responses.create(
        model="m", input="```bash\necho no\n```", tools=[SHELL], tool_choice="none"
    )
    assert not await Event.objects.filter(type="call.started").aexists()


async def test_a_stream_ends_for_whoever_saw_more_of_it_than_is_left(
    client: Client, supervisor: Supervisor
) -> None:
    stream = await client.responses.create(
        model="m", input="```bash\nseq 3\n```", tools=[SHELL], stream=True, background=True
    )
    seen = [event async for event in stream]
    session = await Session.objects.aget()
    await services.session_delete(session=session)
    await supervisor.reaper.reclaim_deleted()
    assert not await Session.objects.aexists()
    rest = await client.responses.retrieve(
        seen[0].response.id, stream=True, starting_after=seen[-2].sequence_number
    )
    events = [event async for event in rest]
    assert events[-1].type == "response.completed"
    assert events[-1].sequence_number > seen[-2].sequence_number
    assert events[-1].response.output == seen[-1].response.output


async def test_one_that_cannot_be_told_keeps_no_other(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await client.responses.create(model="m", input="x") for _ in range(2)]
    unsettled = ApiResponse.objects.filter(owner__username="alice")
    first = await unsettled.order_by("id").afirst()
    assert first is not None
    first.request.pop("tools")
    await first.asave(update_fields=["request"])
    # Last, for the server looks for such responses by itself as well.
    await unsettled.aupdate(status="in_progress", output=None, created_at="2026-01-01T00:00:00Z")
    await settle_left_over()
    statuses = [row.status async for row in unsettled.order_by("id")]
    assert sorted(statuses) == ["completed", "failed"]
    assert len(made) == 2


async def test_a_program_that_leaves_before_the_first_byte_stops_what_it_asked_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads what its answer was to be made of."""

    def unread(_frames: object) -> HttpResponse:
        return HttpResponse(content_type="text/event-stream")

    monkeypatch.setattr(response_stream, "event_stream", unread)
    stream = await client.responses.create(
        model="m", input="```bash\nsleep 300\n```", tools=[SHELL], stream=True
    )
    assert [event async for event in stream] == []

    async def is_under_way() -> bool:
        ended = (TurnStatus.ENDED, TurnStatus.REMOVED)
        return await Turn.objects.exclude(status__in=ended).aexists()

    await until(is_under_way, is_there=False)


async def test_nothing_is_woken_by_a_pass_that_found_nothing_to_stop(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.responses.create(model="m", input="x")
    rows = ApiResponse.objects.all()
    await rows.aupdate(status="in_progress", holder="host:1:never:nowhere:0", output=None)
    told: list[ApiResponse] = []

    async def tell(response: ApiResponse) -> None:
        told.append(response)

    monkeypatch.setattr("sessions.services.responses._changed", tell)
    await rows.aupdate(created_at="2020-01-01T00:00:00Z")
    await stop_abandoned()
    assert told == []


@dataclasses.dataclass(slots=True)
class TwoMessages(ScriptedProvider):
    """Says two messages in one answer, and tells only at its end that both are whole."""

    @override
    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        yield TextDelta("First.", 0)
        yield TextDelta("Second.", 1)
        yield ItemDone(AssistantMessage("First."), 0)
        yield ItemDone(AssistantMessage("Second."), 1)


async def test_each_message_of_one_answer_has_its_own_words(
    client: Client, sandbox_runtime: Runtime
) -> None:
    sandbox_runtime.models = ScriptedModels(TwoMessages())
    stream = await client.responses.create(model="m", input="x", stream=True)
    said = [
        (event.output_index, event.delta)
        async for event in stream
        if event.type == "response.output_text.delta"
    ]
    assert said == [(0, "First."), (1, "Second.")]


async def test_a_long_wait_for_an_answer_is_not_a_silent_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_stream, "KEEP_ALIVE_S", 0.0)
    answer = await client.responses.with_raw_response.create(
        model="m", input="```bash\necho x\n```", tools=[SHELL]
    )
    assert answer.text.startswith(" ")
    assert printed(answer.parse()) == ["x\n"]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_failure_once_it_was_asked_for_says_not_to_ask_again(
    client: Client, monkeypatch: pytest.MonkeyPatch, is_stream: bool
) -> None:
    async def broken(response: ApiResponse, include: Any = ()) -> AsyncIterator[None]:
        for reason in ("The disk is gone.",):
            raise OSError(reason)
        yield None

    monkeypatch.setattr(response_stream, "events_of", broken)
    with pytest.raises(openai.InternalServerError) as failed:
        await client.responses.create(model="m", input="x", stream=is_stream)
    assert failed.value.response.headers["x-should-retry"] == "false"
    assert "disk" not in failed.value.message


async def test_a_failure_in_the_middle_of_a_stream_is_its_last_event(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = response_stream.events_of

    async def broken(response: ApiResponse, include: Any = ()) -> AsyncIterator[Any]:
        async with contextlib.aclosing(told(response, include)) as events:
            async for event in events:
                yield event
                if event is not None and event["type"] == "response.in_progress":
                    raise OSError("The disk is gone.")

    monkeypatch.setattr(response_stream, "events_of", broken)
    stream = await client.responses.create(model="m", input="x", stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "error",
    ]
    assert [event.sequence_number for event in events] == [0, 1, 2]
    assert "disk" not in str(events[-1])
