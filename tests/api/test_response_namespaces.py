"""Tools that a program groups under a name, as the Codex CLI does."""

from typing import Any, TypeAlias

import openai
import pytest

from tests.api.test_responses import SHELL

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]
Client: TypeAlias = Any
HARBOUR: Any = {
    "type": "namespace",
    "name": "harbour",
    "description": "What the harbour master does.",
    "tools": [
        {
            "type": "function",
            "name": "moor",
            "description": "Moor a ship.",
            "parameters": {"type": "object", "properties": {"ship": {"type": "string"}}},
            "strict": False,
        },
        {"type": "custom", "name": "log", "description": "Write it down."},
    ],
}
MOOR = 'Moor her.\n```call harbour__moor\n{"ship": "Ida"}\n```'


async def test_a_function_of_a_namespace_is_called_by_both_names(client: Client) -> None:
    made = await client.responses.create(model="m", input=MOOR, tools=[HARBOUR])
    call = made.output[-1]
    assert (call.type, call.namespace, call.name) == ("function_call", "harbour", "moor")
    assert call.arguments == '{"ship": "Ida"}'
    (tool,) = made.tools
    assert (tool.name, [one.name for one in tool.tools]) == ("harbour", ["moor", "log"])
    answer: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "moored"}
    second = await client.responses.create(
        model="m", input=[answer], tools=[HARBOUR], previous_response_id=made.id
    )
    assert second.status == "completed"
    listed = (await client.responses.input_items.list(second.id)).data
    assert [item.type for item in listed] == ["function_call_output"]


async def test_a_program_that_keeps_the_conversation_sends_the_call_back(client: Client) -> None:
    stream = await client.responses.create(model="m", input=MOOR, tools=[HARBOUR], stream=True)
    done = [event.item async for event in stream if event.type == "response.output_item.done"]
    call = done[-1].model_dump(exclude_none=True)
    assert call["namespace"] == "harbour"
    answer = {"type": "function_call_output", "call_id": call["call_id"], "output": "moored"}
    made = await client.responses.create(
        model="m", input=[{"role": "user", "content": MOOR}, call, answer], tools=[HARBOUR]
    )
    assert made.status == "completed"


async def test_a_custom_tool_of_a_namespace_takes_text(client: Client) -> None:
    script = 'Note it.\n```call harbour__log\n{"input": "Ida is in."}\n```'
    made = await client.responses.create(model="m", input=script, tools=[HARBOUR, SHELL])
    call = made.output[-1]
    assert (call.type, call.namespace, call.name) == ("custom_tool_call", "harbour", "log")
    assert call.input == "Ida is in."


async def test_names_that_are_too_long_together_are_refused(client: Client) -> None:
    tool = HARBOUR | {"name": "n" * 60}
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model="m", input="x", tools=[tool])
    assert caught.value.param == "tools[0].tools[0].name"
