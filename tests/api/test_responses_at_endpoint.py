"""What a program asks of `/v1/responses`, as the model's endpoint is asked for it."""

from collections.abc import Callable
from typing import Any, TypeAlias

import openai
import pytest

from tests.providers.wire_server import Answer, recorded, stream, wire_server

pytestmark = pytest.mark.usefixtures("supervisor")
Client: TypeAlias = Any
CHAT = stream([*recorded("chat-text")[0], "[DONE]"])
RESPONSE = stream(recorded("openai-shell-tool.1")[1])
ANSWERS: dict[str, Answer] = {"chat": CHAT, "responses": RESPONSE}
PICTURE = "data:image/png;base64,iVBORw0KGgo="
LOOK: Any = {
    "type": "function",
    "name": "look",
    "description": "Looks at the harbour.",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    "strict": False,
}
SEEN: list[Any] = [
    {"role": "user", "content": "What is in the harbour?"},
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
    {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
    {
        "type": "function_call_output",
        "call_id": "c1",
        "output": [
            {"type": "input_text", "text": "Seen:"},
            {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
        ],
    },
    {"type": "function_call_output", "call_id": "c2", "output": "Nothing."},
]


async def asked(
    client: Client, at_endpoint: Callable[..., None], api: str, **wanted: Any
) -> dict[str, Any]:
    """The body that the endpoint was sent."""
    async with wire_server(ANSWERS[api]) as wire:
        at_endpoint(wire, api=api)
        made = await client.responses.create(model="upstream-1", **wanted)
        assert made.status == "completed"
        (request,) = [one for one in wire.requests if one.body]
        body: dict[str, Any] = request.body
        return body


async def test_pictures_of_a_functions_result_reach_a_responses_endpoint(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    body = await asked(client, at_endpoint, "responses", input=SEEN, tools=[LOOK])
    result = next(
        item for item in body["input"] if item.get("call_id") == "c1" and "output" in item
    )
    assert result["output"][0]["text"] == "Seen:"
    assert result["output"][1]["image_url"] == PICTURE
    assert "id" not in result


async def test_pictures_of_a_functions_result_reach_a_chat_endpoint(
    client: Client, at_endpoint: Callable[..., None]
) -> None:
    """Behind all results, which are text alone there."""
    body = await asked(client, at_endpoint, "chat", input=SEEN, tools=[LOOK])
    first, second, shown = body["messages"][-3:]
    assert (first["role"], first["content"]) == ("tool", "Seen:")
    assert (second["role"], second["content"]) == ("tool", "Nothing.")
    assert shown["role"] == "user"
    assert shown["content"] == [{"type": "image_url", "image_url": {"url": PICTURE}}]


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_options_reach_the_endpoint(
    client: Client, at_endpoint: Callable[..., None], api: str
) -> None:
    body = await asked(
        client,
        at_endpoint,
        api,
        input="Hello!",
        instructions="Speak like a captain.",
        tools=[LOOK],
        tool_choice="auto",
        parallel_tool_calls=False,
        temperature=0.5,
        top_p=0.7,
        max_output_tokens=99,
    )
    assert "Speak like a captain." in str(body.get("instructions") or body["messages"][0])
    assert (body["temperature"], body["top_p"]) == (0.5, 0.7)
    assert body["parallel_tool_calls"] is False
    assert 99 in (body.get("max_output_tokens"), body.get("max_completion_tokens"))


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_what_is_about_tools_is_not_sent_without_any(
    client: Client, at_endpoint: Callable[..., None], api: str
) -> None:
    body = await asked(
        client, at_endpoint, api, input="Hi!", parallel_tool_calls=True, tool_choice="none"
    )
    assert not {"parallel_tool_calls", "tool_choice"} & body.keys()
    assert not body.get("tools")


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"input": "Hi!", "tool_choice": "required"}, "tool_choice"),
        (
            {
                "input": [
                    *SEEN[:-1],
                    {**SEEN[-1], "output": [{"type": "input_file", "file_data": "eA=="}]},
                ]
            },
            "input[4].output[0]",
        ),
        (
            {
                "input": [
                    *SEEN[:-1],
                    {**SEEN[-1], "output": [{"type": "input_image", "file_id": "file-1"}]},
                ]
            },
            "input[4].output[0].file_id",
        ),
    ],
)
async def test_what_could_only_be_ignored_is_refused(
    client: Client, at_endpoint: Callable[..., None], wanted: dict[str, Any], param: str
) -> None:
    async with wire_server() as wire:
        at_endpoint(wire, api="responses")
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model="upstream-1", **wanted)
        assert refused.value.param == param
