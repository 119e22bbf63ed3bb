"""The Chat Completions provider, through the official client."""

import dataclasses

import pytest

from sessions.errors import ModelRefusedError
from sessions.providers.base import (
    AssistantMessage,
    CommandResult,
    Item,
    ModelOptions,
    Reasoning,
    ToolCall,
    ToolResultItem,
    UserMessage,
)
from sessions.providers.openai_chat import AUTO_MODEL, OpenAIChat
from tests.providers.asking import (
    KEY,
    LOOK,
    QUICK,
    ask,
    endpoint,
    finished,
    items,
    reasoning,
    request,
    retries,
    text,
)
from tests.providers.wire_server import Answer, WireServer, error, recorded, stream, wire_server

(TOOL_CALL,) = recorded("chat-tool-call")
(TEXT,) = recorded("chat-text")


def provider(wire: WireServer, model: str = "m") -> OpenAIChat:
    return OpenAIChat(endpoint(wire.base_url), model, QUICK)


async def test_fragments_become_whole_calls_and_text_streams() -> None:
    async with wire_server(stream([*TOOL_CALL, "[DONE]"])) as wire:
        deltas = await ask(provider(wire))
    assert text(deltas) == "I look around."
    assert reasoning(deltas) == "The person wants a listing."
    thought, said, first, _second = items(deltas)
    assert isinstance(thought, Reasoning)
    assert isinstance(said, AssistantMessage)
    assert first == ToolCall("call_a", "shell", {"commands": ["ls -l", "pwd"], "timeout_ms": 5000})
    end = finished(deltas)
    assert (end.stop_reason, end.input_tokens, end.output_tokens) == ("tool_calls", 120, 34)


async def test_arguments_that_are_not_json_reach_the_loop_marked() -> None:
    async with wire_server(stream([*TOOL_CALL, "[DONE]"])) as wire:
        *_, broken = items(await ask(provider(wire)))
    assert isinstance(broken, ToolCall)
    assert broken.arguments == {"_invalid": '{"commands": ["date"}'}


async def test_the_request_carries_function_tools_and_the_key() -> None:
    async with wire_server(stream(TEXT)) as wire:
        await ask(provider(wire))
    sent = wire.requests[0]
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.body["messages"][0] == {"role": "system", "content": "Be brief."}
    (tool,) = sent.body["tools"]
    assert tool["function"]["name"] == "shell"
    assert "commands" in tool["function"]["parameters"]["properties"]
    assert sent.body["stream_options"] == {"include_usage": True}


async def test_results_go_back_behind_the_calls_they_answer() -> None:
    calls = [ToolCall(name, "shell", {"commands": [name]}) for name in ("a", "b")]
    done = CommandResult("a", "out\n", "err\n", {"kind": "exit", "exit_code": 3})
    results = [ToolResultItem("a", "shell", [done]), ToolResultItem("b", "shell", text="no such")]
    conversation: list[Item] = [UserMessage("go"), AssistantMessage("I try."), *calls, *results]
    async with wire_server(stream(TEXT)) as wire:
        await ask(provider(wire), request(*conversation))
    _system, _user, assistant, first, second = wire.requests[0].body["messages"]
    assert assistant["content"] == "I try."
    assert [call["id"] for call in assistant["tool_calls"]] == ["a", "b"]
    assert assistant["tool_calls"][0]["function"]["arguments"] == '{"commands": ["a"]}'
    assert first["tool_call_id"] == "a"
    assert first["content"] == "$ a\nout\n[stderr]\nerr\n[exit code 3]"
    assert second == {"role": "tool", "tool_call_id": "b", "content": "no such"}


async def test_thoughts_go_back_within_the_turn_only() -> None:
    thought = Reasoning("hm", raw={"field": "reasoning_content"})
    call = ToolCall("a", "shell", {"commands": ["a"]})
    result = ToolResultItem("a", "shell", text="ok")
    async with wire_server(stream(TEXT), stream(TEXT)) as wire:
        asked = provider(wire)
        await ask(asked, request(UserMessage("go"), thought, call, result))
        await ask(asked, request(UserMessage("go"), thought, call, result, UserMessage("on")))
    assert wire.requests[0].body["messages"][2]["reasoning_content"] == "hm"
    assert "reasoning_content" not in wire.requests[1].body["messages"][2]


SCHEMA = {"type": "json_schema", "name": "ship", "schema": {"type": "object"}, "strict": True}


async def test_what_a_program_asks_for_is_said_in_the_words_of_chat_completions() -> None:
    options = ModelOptions(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=50,
        parallel_tool_calls=False,
        tool_choice={"type": "function", "name": "look"},
        text={"format": SCHEMA, "verbosity": "low"},
        reasoning={"effort": "low", "summary": None},
    )
    strict = dataclasses.replace(LOOK, is_strict=True)
    async with wire_server(stream(TEXT)) as wire:
        await ask(provider(wire), request(tools=[strict], options=options))
    sent = wire.requests[0].body
    assert (sent["temperature"], sent["top_p"], sent["max_completion_tokens"]) == (0.5, 0.9, 50)
    assert sent["parallel_tool_calls"] is False
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert sent["response_format"]["json_schema"]["name"] == "ship"
    assert (sent["verbosity"], sent["reasoning_effort"]) == ("low", "low")
    assert sent["tools"][0]["function"]["strict"] is True


async def test_images_and_roles_are_said_in_the_words_of_chat_completions() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}
    parts = [{"type": "input_text", "text": "What is it?"}, image]
    asked = request(UserMessage("Be kind.", "developer"), UserMessage("What is it?", parts=parts))
    async with wire_server(stream(TEXT)) as wire:
        await ask(provider(wire), asked)
    _, told, message = wire.requests[0].body["messages"]
    assert told == {"role": "system", "content": "Be kind."}
    shown = {"url": "data:image/png;base64,AA", "detail": "low"}
    assert message["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": shown},
    ]


async def test_what_a_user_says_in_a_row_is_one_message() -> None:
    """Templates of many models refuse two of one role."""
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}
    seen = UserMessage("Look.", parts=[{"type": "input_text", "text": "Look."}, image])
    async with wire_server(stream(TEXT), stream(TEXT)) as wire:
        asked = provider(wire)
        await ask(asked, request(UserMessage("These skills."), UserMessage("Go.")))
        await ask(asked, request(UserMessage("These skills."), seen, UserMessage("Now.")))
    _, plain = wire.requests[0].body["messages"]
    assert plain == {"role": "user", "content": "These skills.\n\nGo."}
    _, mixed = wire.requests[1].body["messages"]
    kinds = [part["type"] for part in mixed["content"]]
    assert kinds == ["text", "text", "image_url", "text"]
    assert mixed["content"][0]["text"] == "These skills."


async def test_a_server_that_refuses_stream_options_is_asked_without() -> None:
    refused = error(400, "unknown field stream_options")
    async with wire_server(refused, stream(TEXT), stream(TEXT)) as wire:
        asked = provider(wire)
        assert text(await ask(asked)) == "All done."
        await ask(asked)
    assert ["stream_options" in sent.body for sent in wire.requests] == [True, False, False]


async def test_an_answer_cut_by_length_has_no_calls() -> None:
    events = [*TOOL_CALL[:-2], TOOL_CALL[-2].replace('"tool_calls"}', '"length"}')]
    async with wire_server(stream(events)) as wire:
        deltas = await ask(provider(wire))
    assert not [item for item in items(deltas) if isinstance(item, ToolCall)]
    assert finished(deltas).stop_reason == "length"


async def test_a_stream_that_ends_without_a_reason_is_asked_for_again() -> None:
    async with wire_server(stream(TEXT[:1]), stream(TEXT)) as wire:
        deltas = await ask(provider(wire))
    assert len(retries(deltas)) == 1
    assert [item.text for item in items(deltas) if isinstance(item, AssistantMessage)] == [
        "All done."
    ]


async def test_calls_of_servers_that_number_all_of_them_zero_stay_apart() -> None:
    def fragment(call_id: str, command: str) -> dict[str, object]:
        function = {"name": "shell", "arguments": f'{{"commands": "{command}"}}'}
        call = {"index": 0, "id": call_id, "type": "function", "function": function}
        return {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

    end = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    async with wire_server(stream([fragment("x", "ls"), fragment("y", "pwd"), end])) as wire:
        calls = items(await ask(provider(wire)))
    assert [call.arguments for call in calls if isinstance(call, ToolCall)] == [
        {"commands": ["ls"]},
        {"commands": ["pwd"]},
    ]


async def test_the_first_model_is_used_where_none_is_named() -> None:
    listing = {"object": "list", "data": [{"id": "llama", "object": "model"}, {"id": "other"}]}
    async with wire_server(Answer(body=listing), stream(TEXT), stream(TEXT)) as wire:
        asked = provider(wire, AUTO_MODEL)
        await ask(asked)
        await ask(asked)
    assert wire.requests[0].path == "/v1/models"
    assert [sent.body["model"] for sent in wire.requests[1:]] == ["llama", "llama"]


async def test_an_endpoint_without_models_says_what_to_set() -> None:
    async with wire_server(Answer(body={"object": "list", "data": []})) as wire:
        with pytest.raises(ModelRefusedError) as caught:
            await ask(provider(wire, AUTO_MODEL))
    assert "BERTH_MODEL" in caught.value.hint
