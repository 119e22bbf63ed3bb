"""Responses by the official client: asked for, gone on from, looked at, deleted."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import openai
import pytest

from sessions.models import ApiResponse, Event, Session, Turn
from sessions.runtime.supervisor import Supervisor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]
Client: TypeAlias = Any
"""An `openai.AsyncOpenAI`. The client checks what it gets as the test runs; items of a response can
be of two dozen kinds, and asking for each which it is would hide what is tested."""
HELLO = "Go.\n```bash\necho hello; echo oops >&2; exit 3\n```"
SHELL: Any = {"type": "shell"}
ADD: Any = {
    "type": "function",
    "name": "add",
    "description": "Add two numbers.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
    "strict": True,
}
CALL_ADD = 'Let me see.\n```call add\n{"a": 1, "b": 2}\n```'
LOCAL: Any = {"type": "shell", "environment": {"type": "local"}}


def kinds(response: Any) -> list[str]:
    return [item.type for item in response.output]


async def ended(client: Client, response_id: str) -> Any:
    """Polled, as programs do."""
    async with asyncio.timeout(30):
        while True:
            found = await client.responses.retrieve(response_id)
            if found.status not in ("queued", "in_progress"):
                return found
            await asyncio.sleep(0.05)


async def until(
    look: Callable[[], Awaitable[bool]], *, is_there: bool = True, timeout_s: float = 20
) -> None:
    async with asyncio.timeout(timeout_s):
        while await look() != is_there:  # noqa: ASYNC110 - another task does it
            await asyncio.sleep(0.05)


# What comes of one


async def test_commands_run_and_come_back(client: Client) -> None:
    made = await client.responses.create(model="gpt-5.2", input=HELLO, tools=[SHELL])
    assert made.status == "completed"
    assert made.error is None
    assert kinds(made) == ["message", "shell_call", "shell_call_output", "message"]
    call, output = made.output[1:3]
    assert call.action.commands == ["echo hello; echo oops >&2; exit 3"]
    (ran,) = output.output
    assert (ran.stdout, ran.stderr) == ("hello\n", "oops\n")
    assert ran.outcome.exit_code == 3
    assert call.call_id == output.call_id
    assert made.output_text == "Go.Done: 1 command, exit code 3."
    (tool,) = made.tools
    session = await Session.objects.aget()
    assert tool.environment.container_id == f"cntr_{session.id.hex}"
    assert call.environment.container_id == tool.environment.container_id
    assert made.model_extra["live_url"].endswith(f"/sessions/{session.id}/")
    assert made.model == "scripted", "the one that answered is named"
    again = await client.responses.retrieve(made.id)
    assert again.to_dict() == made.to_dict()


async def test_a_saved_file_reads_as_a_command_that_saves_it(client: Client) -> None:
    script = "```python\n# hi.py\nprint('EOF')\n```"
    made = await client.responses.create(model="m", input=script, tools=[SHELL])
    (call,) = [item for item in made.output if item.type == "shell_call"]
    (command,) = call.action.commands
    assert command == "cat > hi.py <<'EOF_'\n# hi.py\nprint('EOF')\nEOF_\npython3 hi.py"
    (output,) = [item for item in made.output if item.type == "shell_call_output"]
    assert output.output[0].stdout == "EOF\n"


async def test_without_tools_nothing_runs_and_no_container_is_made(
    client: Client,
) -> None:
    made = await client.responses.create(model="m", input=HELLO)
    assert kinds(made) == ["message", "message"]
    assert not await Event.objects.filter(type__in=("call.started", "container.state")).aexists()


async def test_what_was_asked_for_is_given_back(client: Client) -> None:
    made = await client.responses.create(
        model="m",
        input="Hello",
        instructions="Be brief.",
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=500,
        max_tool_calls=3,
        metadata={"ship": "Elbe"},
        text={"format": {"type": "json_object"}, "verbosity": "low"},
        reasoning={"effort": "low"},
        tool_choice={"type": "function", "name": "add"},
        tools=[ADD],
        parallel_tool_calls=False,
        user="u",
        prompt_cache_key="k",
        truncation="disabled",
        service_tier="auto",
    )
    given = made.to_dict()
    expected = {
        "instructions": "Be brief.",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 500,
        "max_tool_calls": 3,
        "metadata": {"ship": "Elbe"},
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": None},
        "tool_choice": {"type": "function", "name": "add"},
        "tools": [ADD],
        "parallel_tool_calls": False,
        "user": "u",
        "prompt_cache_key": "k",
        "store": True,
        "background": False,
    }
    assert {key: given[key] for key in expected} == expected


# What it goes on from


async def test_the_next_one_goes_on_in_the_same_container(client: Client) -> None:
    first = await client.responses.create(
        model="m", input="```bash\necho kept > file\n```", tools=[SHELL]
    )
    second = await client.responses.create(
        model="m",
        input="```bash\ncat file\n```",
        previous_response_id=first.id,
        tools=[{"type": "shell", "environment": {"type": "container_auto"}}],
    )
    assert second.previous_response_id == first.id
    (output,) = [item for item in second.output if item.type == "shell_call_output"]
    assert output.output[0].stdout == "kept\n"
    assert await Session.objects.acount() == 1


async def test_a_program_that_keeps_the_conversation_itself_goes_on_in_its_container(
    client: Client, bobs_client: Client
) -> None:
    items: list[Any] = [{"role": "user", "content": "```bash\necho kept > file\n```"}]
    made = await client.responses.create(model="m", input=items, tools=[SHELL], store=False)
    items += [item.to_dict() for item in made.output]
    items.append({"role": "user", "content": "```bash\ncat file\n```"})
    for who, expected in ((client, "kept\n"), (bobs_client, "")):
        made = await who.responses.create(model="m", input=items, tools=[SHELL], store=False)
        (output,) = [item for item in made.output if item.type == "shell_call_output"]
        assert output.output[0].stdout == expected


async def test_a_container_that_was_made_before_is_used(client: Client) -> None:
    container = await client.containers.create(name="Harbour")
    await client.containers.files.create(container.id, file=("ships.csv", b"Elbe\n"))
    where: Any = {"type": "container_reference", "container_id": container.id}
    made = await client.responses.create(
        model="m",
        input="```bash\ncat ships.csv; echo x > left\n```",
        tools=[{"type": "shell", "environment": where}],
    )
    (output,) = [item for item in made.output if item.type == "shell_call_output"]
    assert output.output[0].stdout == "Elbe\n"
    names = [file.path async for file in client.containers.files.list(container.id)]
    assert sorted(names) == ["/mnt/data/left", "/mnt/data/ships.csv"]


async def test_a_conversation_grows_by_what_was_asked_and_answered(
    client: Client,
) -> None:
    conversation = await client.conversations.create()
    for _ in range(2):
        made = await client.responses.create(
            model="m", input=HELLO, tools=[SHELL], conversation=conversation.id
        )
        assert made.conversation.id == conversation.id
    items = [
        item.type async for item in client.conversations.items.list(conversation.id, order="asc")
    ]
    one = ["message", "message", "shell_call", "shell_call_output", "message"]
    assert items == one * 2


async def test_files_of_the_request_are_in_the_container(client: Client) -> None:
    kept = await client.files.create(file=("a.txt", b"of the tool\n"), purpose="user_data")
    message: Any = {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "```bash\ncat a.txt b.txt\n```"},
            {
                "type": "input_file",
                "filename": "b.txt",
                "file_data": "data:text/plain;base64,b2YgdGhlIG1lc3NhZ2UK",
            },
        ],
    }
    made = await client.responses.create(
        model="m",
        input=[message],
        tools=[
            {"type": "shell", "environment": {"type": "container_auto", "file_ids": [kept.id]}}
        ],
    )
    (output,) = [item for item in made.output if item.type == "shell_call_output"]
    assert output.output[0].stdout == "of the tool\nof the message\n"


# Tools of the caller


async def test_a_function_of_the_caller_ends_the_response_and_its_output_begins_the_next(
    client: Client,
) -> None:
    made = await client.responses.create(model="m", input=CALL_ADD, tools=[ADD])
    assert made.status == "completed"
    call = made.output[-1]
    assert (call.type, call.name) == ("function_call", "add")
    assert json.loads(call.arguments) == {"a": 1, "b": 2}
    answer: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "3"}
    second = await client.responses.create(
        model="m", input=[answer], tools=[ADD], previous_response_id=made.id
    )
    assert kinds(second) == ["message"]


async def test_the_loop_of_a_program_that_stores_nothing(client: Client) -> None:
    items: list[Any] = [{"role": "user", "content": CALL_ADD}]
    made = await client.responses.create(model="m", input=items, tools=[ADD], store=False)
    items += [item.to_dict() for item in made.output]
    call = made.output[-1]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "3"})
    made = await client.responses.create(model="m", input=items, tools=[ADD], store=False)
    assert kinds(made) == ["message"]
    assert not made.store


async def test_a_program_that_keeps_the_conversation_itself_is_one_session(
    client: Client, bobs_client: Client
) -> None:
    items: list[Any] = [{"role": "user", "content": CALL_ADD}]
    made = await client.responses.create(model="m", input=items, tools=[ADD], store=False)
    call = made.output[-1]
    answer = {"type": "function_call_output", "call_id": call.call_id, "output": "3"}
    items += [*(item.to_dict() for item in made.output), answer]
    await client.responses.create(model="m", input=items, tools=[ADD], store=False)
    assert await Session.objects.acount() == 1, "known by the items that it got"
    await bobs_client.responses.create(model="m", input=items, tools=[ADD], store=False)
    assert await Session.objects.acount() == 2, "to its owner alone"
    for who in (client, client, bobs_client):
        await who.responses.create(model="m", input="Hello", prompt_cache_key="thread")
    assert await Session.objects.acount() == 4, "known by the key that it gave"
    assert await Turn.objects.acount() == 6


async def test_commands_for_the_callers_own_machine_run_there(
    client: Client,
) -> None:
    made = await client.responses.create(
        model="m", input="```bash\necho at home\n```", tools=[LOCAL]
    )
    assert kinds(made)[-1] == "shell_call"
    call = made.output[-1]
    assert call.environment.type == "local"
    assert call.action.commands == ["echo at home"]
    output: Any = {
        "type": "shell_call_output",
        "call_id": call.call_id,
        "output": [
            {
                "stdout": "at home\n",
                "stderr": "",
                "outcome": {"type": "exit", "exit_code": 0},
            }
        ],
    }
    second = await client.responses.create(
        model="m", input=[output], tools=[LOCAL], previous_response_id=made.id
    )
    assert kinds(second) == ["message"]
    assert not await Event.objects.filter(type="call.started").aexists()


async def test_calls_beyond_the_most_that_may_be_made_are_not_run(
    client: Client,
) -> None:
    script = "```bash\necho one\n```\n---\n```bash\necho two\n```"
    made = await client.responses.create(model="m", input=script, tools=[SHELL], max_tool_calls=1)
    outputs = [item.output[0] for item in made.output if item.type == "shell_call_output"]
    assert [(one.stdout, one.outcome.exit_code) for one in outputs] == [("one\n", 0), ("", 1)]


# Streams


async def test_the_events_come_in_the_order_of_the_hosted_api(client: Client) -> None:
    stream = await client.responses.create(
        model="m", input="```bash\necho hello\n```", tools=[SHELL], stream=True
    )
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    names = [event.type.removeprefix("response.") for event in events]
    assert names == [
        "created",
        "in_progress",
        "output_item.added",
        "shell_call_command.added",
        "shell_call_command.delta",
        "shell_call_command.done",
        "output_item.done",
        "output_item.added",
        "shell_call_output_content.delta",
        "shell_call_output_content.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[0].response.tools[0].environment.container_id
    assert events[8].delta.stdout == "hello\n"
    last = events[-1].response
    assert last.to_dict() == (await client.responses.retrieve(last.id)).to_dict()


@pytest.mark.parametrize("text", [HELLO, CALL_ADD, "Hello."])
async def test_the_clients_own_reading_of_a_stream_agrees_with_its_end(
    client: Client, text: str
) -> None:
    tools = [SHELL] if "bash" in text else [ADD]
    async with client.responses.stream(model="m", input=text, tools=tools) as stream:
        async for _ in stream:
            pass
        whole = await stream.get_final_response()
    assert whole.status == "completed"
    assert len(whole.output) >= 1


async def test_a_stream_can_be_had_again_and_from_any_event_on(
    client: Client,
) -> None:
    first = await client.responses.create(
        model="m", input=HELLO, tools=[SHELL], stream=True, background=True
    )
    seen = [event.to_dict() async for event in first]
    assert [event["type"] for event in seen[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    response_id = seen[0]["response"]["id"]
    again = await client.responses.retrieve(response_id, stream=True)
    assert [event.to_dict() async for event in again] == seen
    rest = await client.responses.retrieve(response_id, stream=True, starting_after=5)
    assert [event.to_dict() async for event in rest] == seen[6:]


async def test_output_that_ends_within_a_character_stays_whole(client: Client) -> None:
    command = "printf 'gr\\303'; sleep 0.3; printf '\\274n'"
    stream = await client.responses.create(
        model="m", input=f"```bash\n{command}\n```", tools=[SHELL], stream=True
    )
    deltas = [
        event.delta.stdout
        async for event in stream
        if event.type == "response.shell_call_output_content.delta"
    ]
    assert "".join(deltas) == "grün"
    assert len(deltas) == 2, "each as it was printed"


# In the background


async def test_one_in_the_background_is_polled(client: Client) -> None:
    made = await client.responses.create(model="m", input=HELLO, tools=[SHELL], background=True)
    assert made.status in ("queued", "in_progress")
    assert made.output == []
    found = await ended(client, made.id)
    assert found.status == "completed"
    assert found.output_text.endswith("exit code 3.")


async def test_one_in_the_background_is_cancelled_and_its_commands_end(
    client: Client,
) -> None:
    made = await client.responses.create(
        model="m", input="```bash\necho begun; sleep 60\n```", tools=[SHELL], background=True
    )
    await until(Event.objects.filter(type="output").aexists)
    stopped = await client.responses.cancel(made.id)
    assert stopped.status == "cancelled"
    (output,) = [item for item in stopped.output if item.type == "shell_call_output"]
    assert output.output[0].stdout == "begun\n"
    again = await client.responses.cancel(made.id)
    assert again.to_dict() == stopped.to_dict()
    assert not await Turn.objects.exclude(status="ended").aexists()


async def test_one_that_waits_is_cancelled_before_it_begins(client: Client) -> None:
    container = await client.containers.create(name="Harbour")
    where: Any = {"type": "container_reference", "container_id": container.id}
    tools: Any = [{"type": "shell", "environment": where}]
    first = await client.responses.create(
        model="m", input="```bash\nsleep 60\n```", tools=tools, background=True
    )
    second = await client.responses.create(
        model="m", input="```bash\ntouch never\n```", tools=tools, background=True
    )
    stopped = await client.responses.cancel(second.id)
    assert (stopped.status, stopped.output) == ("cancelled", [])
    assert (await client.responses.cancel(first.id)).status == "cancelled"
    assert [file.path async for file in client.containers.files.list(container.id)] == []


async def test_only_those_in_the_background_are_cancelled(client: Client) -> None:
    made = await client.responses.create(model="m", input="Hello")
    with pytest.raises(openai.BadRequestError):
        await client.responses.cancel(made.id)


# Afterwards


async def test_what_was_asked_is_listed_in_pages(client: Client) -> None:
    items: Any = [{"role": "user", "content": word} for word in ("one", "two", "three")]
    made = await client.responses.create(model="m", input=items)
    listed = [
        item.content[0].text
        async for item in client.responses.input_items.list(made.id, order="asc", limit=2)
    ]
    assert listed == ["one", "two", "three"]


async def test_a_deleted_one_is_gone_and_one_that_goes_on_from_it_is_not(
    client: Client,
) -> None:
    first = await client.responses.create(model="m", input="Hello")
    second = await client.responses.create(model="m", input="Again", previous_response_id=first.id)
    await client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="m", input="Hm", previous_response_id=first.id)
    assert refused.value.code == "previous_response_not_found"
    third = await client.responses.create(
        model="m", input="And again", previous_response_id=second.id
    )
    assert third.status == "completed"


async def test_a_response_outlives_its_session(client: Client, supervisor: Supervisor) -> None:
    made = await client.responses.create(model="m", input=HELLO, tools=[SHELL])
    container = made.tools[0].environment.container_id
    await client.containers.delete(container)
    await until(Session.objects.filter(id=uuid.UUID(container[5:])).aexists, is_there=False)
    found = await client.responses.retrieve(made.id)
    assert found.output_text == made.output_text
    stream = await client.responses.retrieve(made.id, stream=True)
    events = [event async for event in stream]
    assert events[-1].response.output_text == made.output_text
    assert [e.item for e in events if e.type == "response.output_item.done"] == made.output


async def test_one_whose_session_is_deleted_meanwhile_ends(client: Client) -> None:
    made = await client.responses.create(
        model="m", input="```bash\nsleep 60\n```", tools=[SHELL], background=True
    )
    await client.containers.delete(made.tools[0].environment.container_id)
    assert (await ended(client, made.id)).status == "cancelled"


# Asked twice


async def test_the_same_key_asks_once(client: Client) -> None:
    headers = {"Idempotency-Key": "one"}
    asked = [
        client.responses.create(
            model="m", input="```bash\ndate +%N\n```", tools=[SHELL], extra_headers=headers
        )
        for _ in range(3)
    ]
    made = await asyncio.gather(*asked)
    assert len({one.id for one in made}) == 1
    assert made[0].to_dict() == made[1].to_dict() == made[2].to_dict()
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="m", input="Other", extra_headers=headers)
    assert refused.value.code == "idempotency_key_reused"
    assert await ApiResponse.objects.acount() == 1


# Of others


async def test_another_users_responses_are_not_there(client: Client, bobs_client: Client) -> None:
    made = await client.responses.create(
        model="m",
        input=HELLO,
        tools=[SHELL],
        background=True,
        extra_headers={"Idempotency-Key": "k"},
    )
    bobs = bobs_client.responses
    unknown = f"resp_{'0' * 32}"
    for name in (made.id, unknown):
        for attempt in (
            bobs.retrieve(name),
            bobs.retrieve(name, stream=True),
            bobs.cancel(name),
            bobs.delete(name),
            bobs.input_items.list(name),
        ):
            with pytest.raises(openai.NotFoundError) as absent:
                await attempt
            assert name in absent.value.message
        with pytest.raises(openai.BadRequestError) as refused:
            await bobs.create(model="m", input="Hm", previous_response_id=name)
        assert refused.value.code == "previous_response_not_found"
    where: Any = {
        "type": "container_reference",
        "container_id": made.tools[0].environment.container_id,
    }
    with pytest.raises(openai.NotFoundError):
        await bobs.create(model="m", input=HELLO, tools=[{"type": "shell", "environment": where}])
    other = await bobs.create(model="m", input="Hello", extra_headers={"Idempotency-Key": "k"})
    assert other.id != made.id, "keys are each user's own"


# Refused

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to answer": ({}, "input"),
    "an unknown field": ({"input": "x", "harbour": 1}, "harbour"),
    "an unknown tool": ({"input": "x", "tools": [{"type": "web_search"}]}, "tools[0]"),
    "an unknown environment": (
        {"input": "x", "tools": [{"type": "shell", "environment": {"type": "boat"}}]},
        "tools[0].environment",
    ),
    "two shells": ({"input": "x", "tools": [SHELL, SHELL]}, "tools[1]"),
    "a function named as ours": (
        {"input": "x", "tools": [{**ADD, "name": "shell"}]},
        "tools[0].name",
    ),
    "an image that is not allowed": (
        {
            "input": "x",
            "tools": [{"type": "shell", "environment": {"type": "container_auto", "image": "no"}}],
        },
        "tools[0].environment.image",
    ),
    "an item of a kind that no model here is given": (
        {"input": [{"type": "mcp_list_tools", "id": "x", "server_label": "s", "tools": []}]},
        "input[0]",
    ),
    "an output without its call": (
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "3"}]},
        "input",
    ),
    "a call without its output": (
        {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]},
        "input",
    ),
    "both kinds of memory": (
        {"input": "x", "conversation": "conv_1", "previous_response_id": "resp_1"},
        "previous_response_id",
    ),
    "a temperature too high": ({"input": "x", "temperature": 3}, "temperature"),
    "logprobs": ({"input": "x", "top_logprobs": 3}, "top_logprobs"),
    "a file by its address": (
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_file", "file_url": "http://a/b"}],
                }
            ]
        },
        "input[0].content[0].file_url",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_done_is_refused_by_its_name(client: Client, name: str) -> None:
    body, param = REFUSED[name]
    with pytest.raises(openai.BadRequestError) as refused:
        await client.post("/responses", body={"model": "m", **body}, cast_to=object)
    assert refused.value.param == param
    assert refused.value.message
    assert not await Session.objects.aexists()
    assert not await ApiResponse.objects.aexists()
