"""Chat completions by the official client: of an endpoint that speaks them, and of any other model."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import httpx2
import openai
import pytest
from django.contrib.auth.models import User

from sessions import selectors, services
from sessions.errors import ConflictError
from sessions.events import log
from sessions.events.types import MessageDelta, ProgramCall, ProgramSent, TurnEnded
from sessions.models import ChatCompletion, Session, SessionStatus, Turn, TurnStatus
from sessions.runtime.process import Runtime
from sessions.runtime.request_bodies import SpoolingHandler
from tests.api.conftest import BASE_URL, ENDPOINT_KEY, ClientOf
from tests.providers.wire_server import Answer as WireAnswer
from tests.providers.wire_server import error, stream, wire_server

Client: TypeAlias = Any
"""An `openai.AsyncOpenAI`: messages and tools of these tests are plain dictionaries."""
ADD: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        },
    },
}
CALL_ADD = 'Let me see.\n```call add\n{"a": 1, "b": 2}\n```\nAdded.'
ASK: Any = [{"role": "user", "content": CALL_ADD}]


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-up",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "upstream-1",
        "choices": [choice],
        **more,
    }


USAGE: dict[str, Any] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
USAGE_CHUNK: dict[str, Any] = {**chunk({}), "choices": [], "usage": USAGE}
HELLO_CHUNKS: list[Any] = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
    USAGE_CHUNK,
    "[DONE]",
]


def whole(message: dict[str, Any], finish_reason: str = "stop") -> WireAnswer:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
    return WireAnswer(
        body={
            "id": "chatcmpl-up",
            "object": "chat.completion",
            "created": 1,
            "model": "upstream-1",
            "choices": [choice],
            "usage": USAGE,
            "of_its_own": {"kept": True},
        }
    )


HELLO = whole({"role": "assistant", "content": "Hello", "refusal": None})
NAMES = WireAnswer(
    body={
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 0, "owned_by": "them"}
            for name in ("upstream-1", "upstream-2")
        ],
    }
)


async def events_of(session: Session, kind: str) -> list[Any]:
    return [event.body for event in await log.read(session.id, types=(kind,))]


async def only_session() -> Session:
    return await Session.objects.aget()


# Of the model that is no endpoint


async def test_a_whole_answer(client: Client, alice: User) -> None:
    made = await client.chat.completions.create(model="gpt-5.2", messages=ASK)
    assert made.model == "scripted", "the one that answered is named"
    assert made.choices[0].finish_reason == "stop"
    assert made.choices[0].message.content
    assert made.usage
    session = await only_session()
    assert session.is_chat
    assert session.owner_id == alice.pk
    assert session.status == SessionStatus.IDLE
    assert session.title == "Let me see."
    (ended,) = await events_of(session, "turn.ended")
    assert ended.reason == "completed"
    turn = await Turn.objects.aget()
    assert (turn.status, turn.text) == (TurnStatus.ENDED, CALL_ADD)


async def test_a_program_runs_its_tools_in_one_session(client: Client) -> None:
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, *ASK]
    made = await client.chat.completions.create(model="x", messages=messages, tools=[ADD])
    choice = made.choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 1, "b": 2})
    messages.append(choice.message)
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "3"})
    made = await client.chat.completions.create(model="x", messages=messages, tools=[ADD])
    assert made.choices[0].finish_reason == "stop"
    assert "Added" in made.choices[0].message.content
    messages += [made.choices[0].message, {"role": "user", "content": "Thanks."}]
    await client.chat.completions.create(model="x", messages=messages)
    session = await only_session()
    assert await Turn.objects.filter(session=session).acount() == 3
    sent = await events_of(session, "program.sent")
    assert [event.messages[0]["role"] for event in sent] == ["system", "tool"]
    assert sent[1].messages == [{"role": "tool", "text": "3", "tool_call_id": call.id}]
    (told,) = await events_of(session, "program.call")
    assert isinstance(told, ProgramCall)
    assert (told.name, told.turn, told.tool_call_id) == ("add", 1, call.id)
    said = [event.text for event in await events_of(session, "turn.queued")]
    assert said == [CALL_ADD, "", "Thanks."]


async def test_a_stream(client: Client) -> None:
    chunks = [
        part
        async for part in await client.chat.completions.create(
            model="x",
            messages=ASK,
            tools=[ADD],
            stream=True,
            stream_options={"include_usage": True},
        )
    ]
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(part.choices[0].delta.content or "" for part in chunks if part.choices)
    assert text == "Let me see."
    calls = [c for part in chunks if part.choices for c in part.choices[0].delta.tool_calls or ()]
    assert calls[0].function.name == "add"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "tool_calls"
    assert chunks[-1].usage is not None
    assert len({part.id for part in chunks}) == 1
    assert await events_of(await only_session(), "message.delta")


async def test_the_clients_own_stream_helper_goes_on_in_the_session(client: Client) -> None:
    async with client.chat.completions.stream(model="x", messages=ASK, tools=[ADD]) as events:
        made = await events.get_final_completion()
    message = made.choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "3"}
    again = [*ASK, message.to_dict(), result]
    async with client.chat.completions.stream(model="x", messages=again, tools=[ADD]) as events:
        assert (await events.get_final_completion()).choices[0].finish_reason == "stop"
    assert await Session.objects.acount() == 1


async def test_other_conversations_are_other_sessions(client: Client) -> None:
    for text in ("One", "Two", "One"):
        messages = [{"role": "user", "content": text}]
        await client.chat.completions.create(model="x", messages=messages)
    assert await Session.objects.acount() == 3


async def test_another_users_conversation_is_not_gone_on_with(
    client: Client, bobs_client: Client
) -> None:
    made = await client.chat.completions.create(model="x", messages=ASK)
    more = [*ASK, made.choices[0].message, {"role": "user", "content": "More"}]
    await bobs_client.chat.completions.create(model="x", messages=more)
    owners = [session.owner_id async for session in Session.objects.all()]
    assert len(set(owners)) == 2


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n"),
    ({"seed": 1}, "seed"),
    ({"stop": "x"}, "stop"),
    ({"logprobs": True}, "logprobs"),
    ({"logit_bias": {"1": 1}}, "logit_bias"),
    ({"presence_penalty": 1}, "presence_penalty"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"functions": [{"name": "add"}]}, "functions"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"metadata": {"a": "b"}}, "metadata"),
    ({"temperature": "hot"}, "temperature"),
    ({"temperature": 3}, "temperature"),
    ({"extra_body": {"top_k": 3}}, "top_k"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0]"),
    (
        {"messages": [{"role": "tool", "tool_call_id": "no", "content": "x"}]},
        "messages[0].role",
    ),
    (
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "add", "arguments": "{}"},
                        }
                    ],
                }
            ]
        },
        "messages",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
                    ],
                }
            ]
        },
        "messages[0].content[0].type",
    ),
]


@pytest.mark.parametrize(("asked", "param"), REFUSED, ids=[param for _, param in REFUSED])
async def test_what_cannot_be_honoured_is_refused_by_name(
    client: Client, asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(**{"model": "x", "messages": ASK, **asked})
    assert refused.value.param == param
    assert await Session.objects.acount() == 0


async def test_values_that_ask_for_nothing_are_taken(client: Client) -> None:
    await client.chat.completions.create(
        model="x",
        messages=ASK,
        n=1,
        stop=None,
        logprobs=False,
        presence_penalty=0,
        frequency_penalty=0,
        modalities=["text"],
        service_tier="auto",
        store=False,
        user="u",
    )


async def test_without_a_key_nothing_is_asked(alice: User, client_of: ClientOf) -> None:
    stranger: Client = client_of("berth_nobody")
    with pytest.raises(openai.AuthenticationError):
        await stranger.chat.completions.create(model="x", messages=ASK)
    assert await Session.objects.acount() == 0


# Those that were stored


async def test_stored_completions_are_their_owners_alone(
    client: Client, bobs_client: Client, client_of: ClientOf
) -> None:
    made = await client.chat.completions.create(
        model="x", messages=ASK, store=True, metadata={"ship": "Elbe"}
    )
    unstored = await client.chat.completions.create(model="x", messages=ASK)
    found = await client.chat.completions.retrieve(made.id)
    assert found.choices == made.choices
    assert found.metadata == {"ship": "Elbe"}
    listed = await client.chat.completions.list(metadata={"ship": "Elbe"})
    assert [one.id for one in listed.data] == [made.id]
    assert (await client.chat.completions.list(metadata={"ship": "Oder"})).data == []
    assert (await bobs_client.chat.completions.list()).data == []
    # The client's own type of these knows no role but the assistant's.
    raw = await client.get(f"/chat/completions/{made.id}/messages", cast_to=httpx2.Response)
    (message,) = raw.json()["data"]
    assert (message["role"], message["content"]) == ("user", CALL_ADD)
    changed = await client.chat.completions.update(made.id, metadata={"ship": "Oder"})
    assert changed.metadata == {"ship": "Oder"}
    stranger: Client = client_of("berth_nobody")
    with pytest.raises(openai.AuthenticationError):
        await stranger.chat.completions.retrieve(made.id)
    for who, name in ((bobs_client, made.id), (client, unstored.id), (client, "chatcmpl-no")):
        for work in (who.chat.completions.retrieve, who.chat.completions.delete):
            with pytest.raises(openai.NotFoundError) as missing:
                await work(name)
            assert f"'{name}' not found" in missing.value.message
    gone = await client.chat.completions.delete(made.id)
    assert gone.deleted
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.retrieve(made.id)


async def test_what_is_not_stored_is_kept_without_its_length(client: Client) -> None:
    url = "data:image/png;base64," + "A" * 200_000
    image = {"type": "image_url", "image_url": {"url": url}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "Look"}, image]}]
    await client.chat.completions.create(model="x", messages=messages)
    chat = await ChatCompletion.objects.aget()
    assert len(json.dumps(chat.request)) < 2000
    assert "[image_url]" in (await Turn.objects.aget()).text


# Of an endpoint that speaks Chat Completions


async def test_the_body_and_the_answer_pass_through(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    async with wire_server(HELLO) as wire:
        at_endpoint(wire)
        made = await client.chat.completions.create(
            model="upstream-1", messages=ASK, seed=4, stop=["x"], tools=[ADD], store=True
        )
        (request,) = wire.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {ENDPOINT_KEY}"
    assert request.body == {
        "model": "upstream-1",
        "messages": ASK,
        "seed": 4,
        "stop": ["x"],
        "tools": [ADD],
    }
    assert made.choices[0].message.content == "Hello"
    assert made.model_extra == {"of_its_own": {"kept": True}}
    session = await only_session()
    assert (session.input_tokens, session.output_tokens) == (7, 3)
    assert session.model == "upstream-1"


async def test_a_stream_passes_through_and_is_counted(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    async with wire_server(stream(HELLO_CHUNKS)) as wire:
        at_endpoint(wire)
        chunks = [
            part
            async for part in await client.chat.completions.create(
                model="upstream-1", messages=ASK, stream=True
            )
        ]
        assert wire.requests[0].body["stream_options"] == {"include_usage": True}
    assert [part.choices[0].delta.content for part in chunks] == ["", "Hel", "lo", None]
    session = await only_session()
    assert (session.input_tokens, session.output_tokens) == (7, 3)
    deltas = await events_of(session, "message.delta")
    assert "".join(event.text for event in deltas if isinstance(event, MessageDelta)) == "Hello"


async def test_usage_that_was_asked_for_comes(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    async with wire_server(stream(HELLO_CHUNKS)) as wire:
        at_endpoint(wire)
        chunks = [
            part
            async for part in await client.chat.completions.create(
                model="upstream-1",
                messages=ASK,
                stream=True,
                stream_options={"include_usage": True},
            )
        ]
    assert chunks[-1].usage.total_tokens == 10


async def test_an_endpoint_that_counts_no_streams_is_asked_without(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    refusal = error(400, "Unknown parameter: 'stream_options'.", param="stream_options")
    async with wire_server(refusal, stream(HELLO_CHUNKS[:4])) as wire:
        at_endpoint(wire)
        chunks = [
            part
            async for part in await client.chat.completions.create(
                model="upstream-1", messages=ASK, stream=True
            )
        ]
        assert "stream_options" not in wire.requests[1].body
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_tool_calls_of_a_stream_go_on_in_the_session(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    function = {"name": "add", "arguments": '{"a": 1'}
    first = {"index": 0, "id": "call_1", "type": "function", "function": function}
    rest = {"index": 0, "function": {"arguments": ', "b": 2}'}}
    answer = stream(
        [
            chunk({"role": "assistant", "content": None, "tool_calls": [first]}),
            chunk({"tool_calls": [rest]}),
            chunk({}, "tool_calls"),
            "[DONE]",
        ]
    )
    async with wire_server(answer, HELLO) as wire:
        at_endpoint(wire)
        async with client.chat.completions.stream(
            model="upstream-1", messages=ASK, tools=[ADD]
        ) as events:
            message = (await events.get_final_completion()).choices[0].message
        result = {"role": "tool", "tool_call_id": "call_1", "content": "3"}
        await client.chat.completions.create(
            model="upstream-1", messages=[*ASK, message.to_dict(), result], tools=[ADD]
        )
    session = await only_session()
    (told,) = await events_of(session, "program.call")
    assert json.loads(told.arguments) == {"a": 1, "b": 2}
    (sent,) = await events_of(session, "program.sent")
    assert isinstance(sent, ProgramSent)
    assert sent.messages[0]["text"] == "3"


ENDPOINT_ERRORS: list[tuple[WireAnswer, int, str]] = [
    (error(400, "Too hot.", param="temperature", code="bad"), 400, "Too hot."),
    (error(422, "Not like this."), 422, "Not like this."),
    (error(429, "Slow down.", {"Retry-After": "7"}), 429, "Slow down."),
    (error(404, "The model `x` does not exist", code="model_not_found"), 404, "does not exist"),
    (error(401, f"Incorrect API key {ENDPOINT_KEY}"), 502, "does not accept the key"),
    (error(500, "Boom."), 502, "Boom."),
    (error(503, "Busy."), 503, "Busy."),
    (WireAnswer(body="nonsense"), 502, "not readable"),
]


@pytest.mark.parametrize(("answer", "status", "text"), ENDPOINT_ERRORS)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_errors_of_the_endpoint(
    client: Client,
    at_endpoint: Callable[..., None],
    answer: WireAnswer,
    status: int,
    text: str,
    is_stream: bool,
) -> None:
    if answer.status == 200 and is_stream:
        answer = stream(["nonsense"])
    async with wire_server(answer) as wire:
        at_endpoint(wire)
        with pytest.raises(openai.APIStatusError) as failed:
            await client.chat.completions.create(
                model="upstream-1", messages=ASK, stream=is_stream
            )
    assert failed.value.status_code == status
    assert text in failed.value.message
    assert ENDPOINT_KEY not in failed.value.message
    if status == 429:
        assert failed.value.response.headers["retry-after"] == "7"
    session = await only_session()
    assert session.status == SessionStatus.FAILED
    (ended,) = await events_of(session, "turn.ended")
    assert isinstance(ended, TurnEnded)
    assert text in ended.message
    assert ENDPOINT_KEY not in json.dumps(ended.to_payload())


async def test_an_endpoint_that_is_away(client: Client, at_endpoint: Callable[..., None]) -> None:
    async with wire_server() as wire:
        at_endpoint(wire)
    with pytest.raises(openai.InternalServerError) as failed:
        await client.chat.completions.create(model="upstream-1", messages=ASK)
    assert failed.value.status_code == 502


@pytest.mark.parametrize("is_error", [False, True])
async def test_a_stream_that_breaks_off_says_so(
    client: Client, at_endpoint: Callable[..., None], is_error: bool
) -> None:
    parts = [*HELLO_CHUNKS[:2]]
    if is_error:
        parts.append({"error": {"message": "Out of luck.", "code": 500}})
    async with wire_server(stream(parts, is_cut=not is_error)) as wire:
        at_endpoint(wire)
        coming = await client.chat.completions.create(
            model="upstream-1", messages=ASK, stream=True
        )
        seen = [await anext(coming), await anext(coming)]
        with pytest.raises((openai.APIError, httpx2.HTTPError)):
            await anext(coming)
    assert seen[-1].choices[0].delta.content == "Hel"
    assert (await only_session()).status == SessionStatus.FAILED


async def test_after_a_failure_the_same_conversation_goes_on_in_its_session(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    async with wire_server(error(503, "Busy."), HELLO) as wire:
        at_endpoint(wire)
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="upstream-1", messages=ASK)
        await client.chat.completions.create(model="upstream-1", messages=ASK)
    session = await only_session()
    assert session.status == SessionStatus.IDLE
    assert await Turn.objects.acount() == 2


@pytest.mark.parametrize("is_stream", [False, True])
async def test_leaving_ends_the_request_to_the_endpoint(
    alice: User, sandbox_runtime: Runtime, at_endpoint: Callable[..., None], is_stream: bool
) -> None:
    _, secret = await services.api_key_create(user=alice, name="tests")
    async with wire_server(stream(HELLO_CHUNKS[:2], is_stalled=True)) as wire:
        at_endpoint(wire)
        gone = asyncio.Event()
        body = {"model": "upstream-1", "messages": ASK, "stream": is_stream}
        asking = asyncio.create_task(_ask_until(gone, secret, body))
        async with asyncio.timeout(60):
            await wire.stalled.wait()
            gone.set()
            await asking
            await wire.left_early.wait()
            # What is left to note is carried on with beside the answer.
            while (await only_session()).status == SessionStatus.RUNNING:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    session = await only_session()
    assert session.status == SessionStatus.STOPPED
    (ended,) = await events_of(session, "turn.ended")
    assert ended.reason == "stopped"


async def _ask_until(gone: asyncio.Event, secret: str, body: dict[str, Any]) -> None:
    """As a server asks the application, whose client then goes away."""
    sent = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]

    async def receive() -> dict[str, Any]:
        if sent:
            return sent.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None: ...

    headers = {"host": "testserver", "authorization": f"Bearer {secret}"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": [
            (b"content-type", b"application/json"),
            *((name.encode(), value.encode()) for name, value in headers.items()),
        ],
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
    }
    await SpoolingHandler()(scope, receive, send)


async def test_a_person_stops_it(client: Client, at_endpoint: Callable[..., None]) -> None:
    async with wire_server(stream(HELLO_CHUNKS[:2], is_stalled=True)) as wire:
        at_endpoint(wire)
        asking = asyncio.create_task(
            client.chat.completions.create(model="upstream-1", messages=ASK, timeout=30)
        )
        async with asyncio.timeout(20):
            await wire.stalled.wait()
            assert await services.turn_stop(session=await only_session())
            with pytest.raises(openai.ConflictError) as stopped:
                await asking
            await wire.left_early.wait()
    assert stopped.value.response.headers["x-should-retry"] == "false"
    assert (await only_session()).status == SessionStatus.STOPPED


# Of an endpoint that speaks Responses


async def test_an_endpoint_that_speaks_responses(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    item = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_9",
        "name": "add",
        "arguments": '{"a":1,"b":2}',
        "status": "completed",
    }
    response = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "output": [item],
        "usage": {"input_tokens": 5, "output_tokens": 2},
    }
    events: list[Any] = [
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ]
    async with wire_server(stream(events)) as wire:
        at_endpoint(wire, api="responses")
        made = await client.chat.completions.create(
            model="upstream-1",
            messages=[{"role": "system", "content": "Add."}, {"role": "user", "content": "1+2"}],
            tools=[ADD],
            tool_choice={"type": "function", "function": {"name": "add"}},
            max_tokens=100,
            response_format={"type": "json_object"},
        )
        (request,) = wire.requests
    assert made.choices[0].finish_reason == "tool_calls"
    assert made.choices[0].message.tool_calls[0].id == "call_9"
    assert made.usage.total_tokens == 7
    assert request.path == "/v1/responses"
    assert request.body["max_output_tokens"] == 100
    assert request.body["tool_choice"] == {"type": "function", "name": "add"}
    assert request.body["text"] == {"format": {"type": "json_object"}}
    assert [item["role"] for item in request.body["input"]] == ["system", "user"]


# Names of models


async def test_a_name_that_the_endpoint_lists_goes_there(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    async with wire_server(NAMES, HELLO) as wire:
        at_endpoint(wire)
        await client.chat.completions.create(model="upstream-2", messages=ASK)
        assert wire.requests[1].body["model"] == "upstream-2"


@pytest.mark.parametrize("ask", ["chat", "responses"])
async def test_a_name_that_nobody_has(
    client: Client, at_endpoint: Callable[..., None], ask: str
) -> None:
    async with wire_server(NAMES) as wire:
        at_endpoint(wire)
        asked = (
            client.chat.completions.create(model="gpt-9", messages=ASK)
            if ask == "chat"
            else client.responses.create(model="gpt-9", input="Hello")
        )
        with pytest.raises(openai.NotFoundError) as missing:
            await asked
    assert missing.value.code == "model_not_found"
    assert missing.value.param == "model"
    assert "The model `gpt-9` does not exist or you do not have access" in missing.value.message


async def test_the_default_answers_for_it_where_that_is_allowed(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    async with wire_server(NAMES, HELLO) as wire:
        at_endpoint(wire, any_name=True)
        made = await client.chat.completions.create(model="gpt-9", messages=ASK)
        assert wire.requests[1].body["model"] == "upstream-1"
    assert made.model == "upstream-1"


async def test_an_endpoint_without_a_list_is_asked_by_any_name(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    async with wire_server(error(404, "Not found"), HELLO) as wire:
        at_endpoint(wire)
        await client.chat.completions.create(model="gpt-9", messages=ASK)
        assert wire.requests[1].body["model"] == "gpt-9"


async def test_the_list_of_models_has_the_endpoints(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    async with wire_server(NAMES) as wire:
        at_endpoint(wire)
        listed = await client.models.list()
        assert [model.id for model in listed.data] == ["upstream-1", "scripted", "upstream-2"]
        assert (await client.models.retrieve("upstream-2")).id == "upstream-2"


# Sessions of that kind


async def test_its_session_has_no_container_and_takes_no_messages(
    client: Client, sandbox_runtime: Runtime, alice: User
) -> None:
    raw: httpx2.Response = await client.post(
        "/chat/completions", cast_to=httpx2.Response, body={"messages": ASK}
    )
    session = await only_session()
    assert raw.headers["x-berth-live-url"].endswith(f"/sessions/{session.id}/")
    assert str(raw.url).startswith(BASE_URL)
    assert (await client.containers.list()).data == []
    with pytest.raises(openai.NotFoundError):
        await client.containers.retrieve(f"cntr_{session.id.hex}")
    with pytest.raises(ConflictError):
        await services.turn_submit(session=session, text="Hello")
    with pytest.raises(ConflictError):
        await sandbox_runtime.sandboxes.connect(session)
    (row,) = await selectors.session_list(user=alice)
    assert row.is_chat
    assert session.suspends_at is None
