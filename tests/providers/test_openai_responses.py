"""The Responses provider against recorded streams, through the official client."""

import json
from typing import Any

import pytest

from sessions.errors import (
    ContextOverflowError,
    ModelRefusedError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from sessions.providers.base import (
    AssistantMessage,
    CommandResult,
    ModelOptions,
    Reasoning,
    ToolCall,
    ToolResultItem,
    UserMessage,
    item_from_json,
    item_to_json,
)
from sessions.providers.openai_responses import OpenAIResponses
from sessions.providers.patches import SPEC as PATCH_SPEC
from tests.providers.asking import (
    LOOK,
    QUICK,
    SHELL,
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

SHELL_CALL, SHELL_ANSWER = recorded("openai-shell-tool.1")


def provider(wire: WireServer) -> OpenAIResponses:
    return OpenAIResponses(endpoint(wire.base_url), "gpt-5.1", QUICK)


def exited(command: str, code: int, stdout: str = "", stderr: str = "") -> CommandResult:
    return CommandResult(command, stdout, stderr, {"kind": "exit", "exit_code": code})


@pytest.mark.slow
async def test_a_recorded_shell_call_becomes_a_tool_call() -> None:
    async with wire_server(stream(SHELL_CALL)) as wire:
        deltas = await ask(provider(wire))
    (call,) = items(deltas)
    assert isinstance(call, ToolCall)
    assert call.tool_call_id == "call_pbxjNs1tMJUahLZKAS9qLtvw"
    assert call.name == "shell"
    assert call.arguments == {"commands": ["ls -a ~/Desktop"], "max_output_length": 8912}
    end = finished(deltas)
    assert (end.stop_reason, end.input_tokens, end.output_tokens) == ("tool_calls", 145, 41)


async def test_the_request_asks_for_the_local_shell_and_stores_nothing() -> None:
    async with wire_server(stream(SHELL_CALL)) as wire:
        await ask(provider(wire), request(tools=(SHELL, LOOK)))
    body = wire.requests[0].body
    assert wire.requests[0].path == "/v1/responses"
    assert body["tools"][0] == {"type": "shell", "environment": {"type": "local"}}
    assert body["tools"][1]["type"] == "function"
    assert body["tools"][1]["name"] == "look"
    assert body["store"] is False
    assert body["stream"] is True
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["instructions"] == "Be brief."
    assert body["input"] == [{"role": "user", "content": "List my files."}]


async def test_recorded_text_streams_and_is_whole_at_the_end() -> None:
    async with wire_server(stream(SHELL_ANSWER)) as wire:
        deltas = await ask(provider(wire))
    (message,) = items(deltas)
    assert isinstance(message, AssistantMessage)
    assert message.text.startswith("Here are the files and folders in your `~/Desktop`")
    assert text(deltas) == message.text
    assert len(deltas) == 162 + 2
    assert finished(deltas).stop_reason == "end"


async def test_the_round_trip_sends_call_and_output_back() -> None:
    async with wire_server(stream(SHELL_CALL), stream(SHELL_ANSWER)) as wire:
        asked = provider(wire)
        (call,) = items(await ask(asked))
        assert isinstance(call, ToolCall)
        # As it comes back from the log.
        call = item_from_json(json.loads(json.dumps(item_to_json(call))))
        result = ToolResultItem(
            "call_pbxjNs1tMJUahLZKAS9qLtvw",
            "shell",
            [exited("ls -a ~/Desktop", 2, "", "no such folder\n")],
            max_output_length=8912,
        )
        await ask(asked, request(UserMessage("List."), call, result))
    sent_call, sent_output = wire.requests[1].body["input"][1:]
    assert sent_call["type"] == "shell_call"
    assert sent_call["call_id"] == "call_pbxjNs1tMJUahLZKAS9qLtvw"
    assert sent_call["action"]["commands"] == ["ls -a ~/Desktop"]
    assert "id" not in sent_call
    assert sent_output == {
        "type": "shell_call_output",
        "call_id": "call_pbxjNs1tMJUahLZKAS9qLtvw",
        "output": [
            {
                "stdout": "",
                "stderr": "no such folder\n",
                "outcome": {"type": "exit", "exit_code": 2},
            }
        ],
        "max_output_length": 8912,
    }


@pytest.mark.parametrize(
    ("ending", "outcome", "told"),
    [
        ({"kind": "timeout", "timeout_s": 5.0}, {"type": "timeout"}, ""),
        ({"kind": "signal", "signal": "SIGSEGV"}, {"type": "exit", "exit_code": 139}, "SIGSEGV"),
        ({"kind": "oom", "limit_bytes": 1024}, {"type": "exit", "exit_code": 137}, "memory"),
        ({"kind": "stopped"}, {"type": "exit", "exit_code": 137}, "stopped"),
        ({"kind": "disk_full"}, {"type": "exit", "exit_code": 137}, "disk is full"),
        (
            {"kind": "disk_full", "limit_bytes": 8000, "used_bytes": 9000},
            {"type": "exit", "exit_code": 137},
            "disk is full (limit 8,000 bytes, used 9,000 bytes)",
        ),
        ({"kind": "container_lost"}, {"type": "exit", "exit_code": 137}, "container was lost"),
    ],
)
async def test_endings_the_api_does_not_know_are_told_in_words(
    ending: dict[str, Any], outcome: dict[str, Any], told: str
) -> None:
    call = ToolCall("c1", "shell", {"commands": ["x"]})
    result = ToolResultItem("c1", "shell", [CommandResult("x", "out", "err", ending)])
    async with wire_server(stream(SHELL_ANSWER)) as wire:
        await ask(provider(wire), request(UserMessage("go"), call, result))
    (entry,) = wire.requests[0].body["input"][2]["output"]
    assert entry["outcome"] == outcome
    assert entry["stdout"] == "out"
    assert told in entry["stderr"]
    assert entry["stderr"].startswith("err")


async def test_a_refused_call_still_has_one_output_per_command() -> None:
    call = ToolCall("c1", "shell", {"commands": ["a", "b"]})
    result = ToolResultItem("c1", "shell", text="At most 16 commands.")
    async with wire_server(stream(SHELL_ANSWER)) as wire:
        await ask(provider(wire), request(UserMessage("go"), call, result))
    output = wire.requests[0].body["input"][2]["output"]
    assert [entry["stderr"] for entry in output] == ["At most 16 commands."] * 2


async def test_a_call_the_turn_left_open_gets_an_output() -> None:
    call = ToolCall("c1", "shell", {"commands": ["a"]})
    async with wire_server(stream(SHELL_ANSWER)) as wire:
        await ask(provider(wire), request(UserMessage("go"), call, UserMessage("go on")))
    kinds = [item.get("type", item.get("role")) for item in wire.requests[0].body["input"]]
    assert kinds == ["user", "shell_call", "shell_call_output", "user"]


async def test_reasoning_streams_and_is_replayed_encrypted() -> None:
    (events,) = recorded("responses-reasoning")
    async with wire_server(stream(events), stream(SHELL_ANSWER)) as wire:
        asked = provider(wire)
        deltas = await ask(asked, request(tools=(LOOK,)))
        thought, call = items(deltas)
        done = ToolResultItem("call_f", "look", text="seen")
        await ask(asked, request(UserMessage("go"), thought, call, done))
    assert isinstance(thought, Reasoning)
    assert reasoning(deltas) == thought.text == "First look.\n\nThen act."
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("look", {"at": 1})
    sent = wire.requests[1].body["input"]
    assert sent[1]["encrypted_content"] == "gAAAAAsecret"
    assert sent[2]["type"] == "function_call"
    assert sent[3] == {"type": "function_call_output", "call_id": "call_f", "output": "seen"}


async def test_the_recorded_error_is_a_quota_error_without_a_retry() -> None:
    (events,) = recorded("openai-error.1")
    async with wire_server(stream(events)) as wire:
        with pytest.raises(QuotaExceededError, match="exceeded your current quota") as caught:
            await ask(provider(wire))
    assert "credit" in caught.value.hint


async def test_a_flat_error_event_is_understood_as_well() -> None:
    flat = {
        "type": "error",
        "code": "context_length_exceeded",
        "message": "Your input exceeds the context window of this model.",
        "param": "input",
        "sequence_number": 1,
    }
    async with wire_server(stream([SHELL_CALL[0], flat])) as wire:
        with pytest.raises(ContextOverflowError):
            await ask(provider(wire))


async def test_a_failed_response_is_retried_when_the_server_is_to_blame() -> None:
    failed = {
        "type": "response.failed",
        "sequence_number": 1,
        "response": {
            "id": "r",
            "status": "failed",
            "error": {"code": "server_error", "message": "The server had an error."},
            "output": [],
        },
    }
    async with wire_server(stream([SHELL_CALL[0], failed]), stream(SHELL_CALL)) as wire:
        deltas = await ask(provider(wire))
    (retrying,) = retries(deltas)
    assert "The server had an error." in retrying.reason
    assert len(items(deltas)) == 1


async def test_an_incomplete_response_says_so_and_drops_the_cut_call() -> None:
    cut_call = {
        "type": "response.output_item.done",
        "output_index": 1,
        "sequence_number": 9,
        "item": {
            "id": "sh_1",
            "type": "shell_call",
            "status": "incomplete",
            "call_id": "c",
            "action": {"commands": ["rm -rf /tmp/on"]},
        },
    }
    ended = {
        "type": "response.incomplete",
        "sequence_number": 10,
        "response": {
            "id": "r",
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [],
        },
    }
    async with wire_server(stream([*SHELL_ANSWER[:-1], cut_call, ended])) as wire:
        deltas = await ask(provider(wire))
    assert [type(item) for item in items(deltas)] == [AssistantMessage]
    assert finished(deltas).stop_reason == "length"


async def test_a_stream_without_its_last_event_is_asked_for_again() -> None:
    async with wire_server(stream(SHELL_CALL[:-1]), stream(SHELL_CALL)) as wire:
        deltas = await ask(provider(wire))
    assert len(retries(deltas)) == 1
    assert len(items(deltas)) == 1


async def test_a_model_without_the_shell_tool_gets_a_function() -> None:
    refused = error(400, "Tool 'shell' is not supported with gpt-4o.", param="tools")
    async with wire_server(refused, stream(SHELL_ANSWER)) as wire:
        await ask(provider(wire))
    (tool,) = wire.requests[1].body["tools"]
    assert (tool["type"], tool["name"]) == ("function", "shell")


async def test_parameters_a_model_refuses_are_left_out_for_good() -> None:
    no_reasoning = error(400, "Unsupported parameter", param="reasoning.summary")
    no_include = error(400, "Encrypted content is not supported with this model.")
    answers = (no_reasoning, no_include, stream(SHELL_ANSWER), stream(SHELL_ANSWER))
    async with wire_server(*answers) as wire:
        asked = provider(wire)
        await ask(asked)
        await ask(asked)
    assert ["reasoning" in sent.body for sent in wire.requests] == [True, False, False, False]
    assert ["include" in sent.body for sent in wire.requests] == [True, True, False, False]


async def test_another_bad_request_is_not_repeated() -> None:
    async with wire_server(error(400, "Invalid value: 'x'.", param="input")) as wire:
        with pytest.raises(ProviderUnavailableError, match="HTTP 400"):
            await ask(provider(wire))


async def test_an_unknown_model_is_named() -> None:
    refused = error(400, "The requested model 'gpt-5.1' does not exist.", code="model_not_found")
    async with wire_server(refused) as wire:
        with pytest.raises(ModelRefusedError, match=r"gpt-5\.1"):
            await ask(provider(wire))


async def test_what_a_program_asks_for_is_sent_as_it_is() -> None:
    options = ModelOptions(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=50,
        parallel_tool_calls=False,
        tool_choice="required",
        text={"format": {"type": "json_object"}},
        reasoning={"effort": "low"},
        truncation="auto",
    )
    parts = [{"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}]
    asked = request(UserMessage("", "developer", parts), tools=[LOOK], options=options)
    async with wire_server(stream(SHELL_ANSWER)) as wire:
        await ask(provider(wire), asked)
    sent = wire.requests[0].body
    expected = {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 50,
        "parallel_tool_calls": False,
        "tool_choice": "required",
        "text": {"format": {"type": "json_object"}},
        "reasoning": {"summary": "auto", "effort": "low"},
        "truncation": "auto",
    }
    assert {key: sent[key] for key in expected} == expected
    assert sent["input"] == [{"role": "developer", "content": parts}]


PATCHED: dict[str, Any] = {
    "type": "apply_patch_call",
    "id": "apc_1",
    "status": "completed",
    "call_id": "call_1",
    "operation": {"type": "delete_file", "path": "old.txt"},
}
PATCH_OUTPUT = {"type": "apply_patch_call_output", "call_id": "call_1", "status": "failed"}


async def test_a_patch_goes_to_the_endpoint_and_back_as_it_is() -> None:
    ended = {"type": "response.completed", "response": {"status": "completed"}}
    done = {"type": "response.output_item.done", "output_index": 0, "item": PATCHED}
    asked = request(
        ToolCall("call_1", "apply_patch", PATCHED["operation"], PATCHED),
        ToolResultItem("call_1", "apply_patch", text="failed", raw={**PATCH_OUTPUT, "id": "x"}),
        tools=(PATCH_SPEC,),
    )
    async with wire_server(stream([done, ended])) as wire:
        (call,) = items(await ask(provider(wire), asked))
    assert call == ToolCall("call_1", "apply_patch", PATCHED["operation"], PATCHED)
    body = wire.requests[0].body
    assert body["tools"] == [{"type": "apply_patch"}]
    sent = {key: value for key, value in PATCHED.items() if key != "id"}
    assert body["input"] == [sent, PATCH_OUTPUT]


async def test_a_model_without_patches_gets_a_function() -> None:
    refusal = error(400, "Tool 'apply_patch' is not supported with this model.")
    asked = request(
        ToolCall("call_1", "apply_patch", PATCHED["operation"], PATCHED),
        ToolResultItem("call_1", "apply_patch", text="failed", raw=PATCH_OUTPUT),
        tools=(PATCH_SPEC,),
        options=ModelOptions(tool_choice={"type": "apply_patch"}),
    )
    async with wire_server(refusal, stream(SHELL_ANSWER)) as wire:
        await ask(provider(wire), asked)
    body = wire.requests[1].body
    assert body["tools"][0]["name"] == "apply_patch"
    assert body["tools"][0]["parameters"]["required"] == ["type", "path"]
    assert body["tool_choice"] == {"type": "function", "name": "apply_patch"}
    assert [item["type"] for item in body["input"]] == ["function_call", "function_call_output"]


async def test_the_endpoint_counts_or_it_is_not_known() -> None:
    answer = Answer(body={"object": "response.input_tokens", "input_tokens": 42})
    async with wire_server(answer, error(404, "Not Found"), error(500, "Oh")) as wire:
        asked = provider(wire)
        counted = [await asked.count_tokens(request()) for _ in range(3)]
    assert counted == [42, None, None]
    assert wire.requests[0].path == "/v1/responses/input_tokens"
    assert wire.requests[0].body["instructions"] == "Be brief."
