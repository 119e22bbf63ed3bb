"""What a response goes on from: files that were given, conversations, functions that were found."""

from typing import Any, TypeAlias

import openai
import pytest

from sessions.models import ApiResponse
from sessions.providers.base import UserMessage
from sessions.responses import context
from tests.api.test_compaction import TRIGGER, Listening, listening
from tests.api.test_responses import ADD, SHELL

__all__ = ["listening"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]
Client: TypeAlias = Any


def with_files(*file_ids: str) -> list[Any]:
    environment = {"type": "container_auto", "file_ids": list(file_ids)}
    return [{"type": "shell", "environment": environment}]


def printed(response: Any) -> list[str]:
    outputs = [item for item in response.output if item.type == "shell_call_output"]
    return [output.output[0].stdout for output in outputs]


async def test_a_file_that_is_first_named_later_is_given_then_and_once(client: Client) -> None:
    first_file = await client.files.create(file=("a.txt", b"a\n"), purpose="user_data")
    second_file = await client.files.create(file=("b.txt", b"b\n"), purpose="user_data")
    first = await client.responses.create(
        model="m",
        input="```bash\ncat a.txt; echo changed > a.txt\n```",
        tools=with_files(first_file.id),
    )
    second = await client.responses.create(
        model="m",
        input="```bash\ncat a.txt b.txt; echo changed > b.txt\n```",
        tools=with_files(first_file.id, second_file.id),
        previous_response_id=first.id,
    )
    third = await client.responses.create(
        model="m",
        input="```bash\ncat b.txt; ls\n```",
        tools=with_files(second_file.id),
        previous_response_id=second.id,
    )
    assert [*printed(first), *printed(second), *printed(third)] == [
        "a\n",
        "changed\nb\n",
        "changed\na.txt\nb.txt\n",
    ]
    assert "file_ids" not in third.model_extra, "it is no field of a response"


async def test_a_file_named_where_there_was_no_container_yet_is_given(client: Client) -> None:
    file = await client.files.create(file=("a.txt", b"a\n"), purpose="user_data")
    first = await client.responses.create(model="m", input="Hello")
    second = await client.responses.create(
        model="m",
        input="```bash\ncat a.txt\n```",
        tools=with_files(file.id),
        previous_response_id=first.id,
    )
    assert printed(second) == ["a\n"]


async def test_a_conversation_that_was_compacted_is_read_from_there(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await client.conversations.create()
    await client.responses.create(model="m", input="x" * 3000, conversation=conversation.id)
    await client.responses.create(
        model="m",
        input=[{"role": "user", "content": "Be brief."}, TRIGGER],
        conversation=conversation.id,
    )
    # Less than the conversation has, and more than what goes on from the compaction.
    sealed = await ApiResponse.objects.order_by("-created_at").afirst()
    assert sealed is not None
    size = len(str(sealed.output)) + len(str(sealed.input))
    monkeypatch.setattr(context, "MAX_CHARS", size + 2000)
    made = await client.responses.create(model="m", input="And now?", conversation=conversation.id)
    assert made.status == "completed"


async def test_a_chain_that_is_too_long_is_refused_and_not_cut(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "MAX_CHAIN", 2)
    last = await client.responses.create(model="m", input="Hello")
    for _ in range(2):
        last = await client.responses.create(
            model="m", input="Hello", previous_response_id=last.id
        )
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="m", input="Hello", previous_response_id=last.id)
    assert refused.value.code == "context_length_exceeded"


async def test_a_function_that_was_found_does_not_take_the_name_of_another_tool(
    client: Client,
) -> None:
    def found(name: str) -> dict[str, Any]:
        return {"type": "function", "name": name, "description": "", "parameters": {}}

    names = ("apply_patch", "add", "shell", "python", "fetch")
    items: list[Any] = [
        {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {}},
        {
            "type": "tool_search_output",
            "call_id": "c",
            "execution": "client",
            "tools": [found(name) for name in names],
        },
        {"role": "user", "content": "Hello"},
    ]
    code: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
    await client.responses.create(
        model="m", input=items, tools=[SHELL, ADD, code, {"type": "apply_patch"}]
    )
    row = await ApiResponse.objects.aget()
    assert [tool["name"] for tool in row.request["found"]] == ["fetch"]


async def test_a_search_with_a_long_id_can_be_sent_back(client: Client) -> None:
    search: Any = {
        "type": "file_search_call",
        "id": "fs_" + "x" * 90,
        "queries": ["tides"],
        "status": "completed",
        "results": [],
    }
    made = await client.responses.create(
        model="m", input=[search, {"role": "user", "content": "Hello"}]
    )
    assert made.status == "completed"


async def test_a_container_that_was_made_otherwise_is_not_gone_on_in(client: Client) -> None:
    def with_memory(limit: str) -> list[Any]:
        return [
            {"type": "shell", "environment": {"type": "container_auto", "memory_limit": limit}}
        ]

    first = await client.responses.create(
        model="m", input="```bash\ntrue\n```", tools=with_memory("4g")
    )
    same = await client.responses.create(
        model="m", input="Hello", tools=with_memory("4g"), previous_response_id=first.id
    )
    assert same.tools[0].environment == first.tools[0].environment
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(
            model="m", input="Hello", tools=with_memory("1g"), previous_response_id=first.id
        )
    assert refused.value.param == "tools[0].environment.memory_limit"
    named: Any = {
        "type": "code_interpreter",
        "container": first.tools[0].environment.container_id,
    }
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="m", input="Hello", tools=[*with_memory("4g"), named])
    assert refused.value.param == "tools[0].environment"


async def test_a_file_of_a_message_is_given_to_the_first_container(client: Client) -> None:
    content: list[Any] = [
        {"type": "input_text", "text": "Keep it."},
        {"type": "input_file", "filename": "b.txt", "file_data": "data:;base64,YgoK"},
    ]
    first = await client.responses.create(model="m", input=[{"role": "user", "content": content}])
    second = await client.responses.create(
        model="m",
        input="```bash\ncat b.txt; echo more >> b.txt\n```",
        tools=[SHELL],
        previous_response_id=first.id,
    )
    third = await client.responses.create(
        model="m",
        input="```bash\nls; tail -1 b.txt\n```",
        tools=[SHELL],
        previous_response_id=second.id,
    )
    assert [*printed(second), *printed(third)] == ["b\n\n", "b.txt\nmore\n"]


async def test_a_kept_file_is_told_of_where_there_is_no_container_any_more(
    client: Client, listening: Listening
) -> None:
    kept = await client.files.create(file=("a.txt", b"a\n"), purpose="user_data")
    content: list[Any] = [
        {"type": "input_text", "text": "```bash\ncat a.txt\n```"},
        {"type": "input_file", "file_id": kept.id},
    ]
    first = await client.responses.create(
        model="m", input=[{"role": "user", "content": content}], tools=[SHELL]
    )
    await client.responses.create(model="m", input="And?", previous_response_id=first.id)
    asked = listening.asked[-1][0]
    assert isinstance(asked, UserMessage)
    assert "a.txt, which is not at hand" in asked.text
    assert asked.parts is None, "no endpoint knows its id"
