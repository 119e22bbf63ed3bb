"""The local provider over a real wire: Markdown in, one call out, the stream cut behind it."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from sessions.providers.base import (
    AssistantMessage,
    CommandResult,
    Item,
    ModelOptions,
    ModelRequest,
    ModelStatus,
    ToolCall,
    ToolResultItem,
    UserMessage,
)
from sessions.providers.endpoint import Endpoint
from sessions.providers.local import LocalProvider
from sessions.providers.local_model import LocalModel, LocalModelConfig
from sessions.providers.markdown_messages import markdown_messages
from tests.providers.asking import QUICK, ask, endpoint, finished, items, retries, text
from tests.providers.wire_server import Answer, WireServer, stream, wire_server

BLOCK = "I run it.\n```bash\nfalse\n```\n"


class ReadyModel(LocalModel):
    """A local model whose process is the wire server."""

    def __init__(self, at: Endpoint) -> None:
        super().__init__(LocalModelConfig(Path("unused")))
        self._at = at

    @override
    async def wait_ready(self) -> Endpoint:
        return self._at

    @override
    def status(self) -> ModelStatus:
        return ModelStatus("ready")


def provider(wire: WireServer) -> LocalProvider:
    return LocalProvider(ReadyModel(endpoint(wire.base_url)), "small", QUICK)


def answer(said: str, *, is_stalled: bool = False, finish: str = "stop") -> Answer:
    """Pieces of five characters, counted as llama-server counts."""
    chunks: list[dict[str, object]] = []
    for n, start in enumerate(range(0, len(said), 5), 1):
        choice = {"index": 0, "delta": {"content": said[start : start + 5]}, "finish_reason": None}
        timings = {"cache_n": 100, "prompt_n": 20, "predicted_n": n}
        chunks.append({"id": "c", "choices": [choice], "timings": timings})
    if not is_stalled:
        chunks.append({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return stream(chunks, is_stalled=is_stalled)


def asked(*conversation: Item) -> ModelRequest:
    return ModelRequest("", conversation or (UserMessage("Do it."),), [])


def tried(command: str, code: int, name: str = "c1") -> Sequence[Item]:
    result = CommandResult(command, "", "", {"kind": "exit", "exit_code": code})
    return (
        AssistantMessage(f"```bash\n{command}\n```\n"),
        ToolCall(name, "shell", {"commands": [command]}),
        ToolResultItem(name, "shell", [result]),
    )


async def test_the_request_ends_with_the_block_and_is_counted() -> None:
    async with wire_server(answer(f"{BLOCK}It printed 42.", is_stalled=True)) as wire:
        deltas = await ask(provider(wire), asked())
        await wire.left_early.wait()
    assert text(deltas) == BLOCK
    said, call = items(deltas)
    assert said == AssistantMessage(BLOCK)
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("shell", {"commands": ["false"]})
    end = finished(deltas)
    assert (end.stop_reason, end.input_tokens) == ("tool_calls", 120)
    assert end.output_tokens > 0


async def test_plain_words_end_the_turn() -> None:
    async with wire_server(answer("All is done.")) as wire:
        deltas = await ask(provider(wire), asked())
    assert items(deltas) == [AssistantMessage("All is done.")]
    assert finished(deltas).stop_reason == "end"


async def test_a_block_cut_by_length_is_asked_for_again_and_never_run() -> None:
    cut = answer("```bash\nrm -rf bui", finish="length")
    async with wire_server(cut, cut) as wire:
        deltas = await ask(provider(wire), asked())
    assert not [item for item in items(deltas) if isinstance(item, ToolCall)]
    assert finished(deltas).stop_reason == "length"


async def test_a_line_without_an_end_is_not_read_to_the_end() -> None:
    endless = answer("```python\nx = y" + ".replace('a', '')" * 500, is_stalled=True)
    async with wire_server(endless, answer("All done.")) as wire:
        deltas = await ask(provider(wire), asked())
    assert "ran away" in retries(deltas)[0].reason
    assert items(deltas) == [AssistantMessage("All done.")]


async def test_a_failed_command_said_again_is_asked_for_once_more_then_ends_the_turn() -> None:
    async with wire_server(answer(BLOCK), answer(BLOCK)) as wire:
        deltas = await ask(provider(wire), asked(UserMessage("Do it."), *tried("false", 1)))
    assert len(retries(deltas)) == 1
    assert not [item for item in items(deltas) if isinstance(item, ToolCall)]
    end = finished(deltas)
    assert end.stop_reason == "repeated"
    assert "repeated a command" in end.note
    again = wire.requests[1].body
    assert [message["role"] for message in again["messages"]] == ["system", "user"]
    assert "An earlier try failed" in again["messages"][-1]["content"]
    assert again["temperature"] > wire.requests[0].body["temperature"]


async def test_another_idea_after_the_repetition_is_taken() -> None:
    async with wire_server(answer(BLOCK), answer("```bash\nls\n```\n")) as wire:
        deltas = await ask(provider(wire), asked(UserMessage("Do it."), *tried("false", 1)))
    (call,) = [item for item in items(deltas) if isinstance(item, ToolCall)]
    assert call.arguments == {"commands": ["ls"]}


async def test_repeating_what_had_worked_ends_the_turn_in_peace() -> None:
    async with wire_server(answer("```bash\ntrue\n```\n")) as wire:
        deltas = await ask(provider(wire), asked(UserMessage("Do it."), *tried("true", 0)))
    assert not [item for item in items(deltas) if isinstance(item, ToolCall)]
    assert finished(deltas).stop_reason == "end"
    assert "had worked" in finished(deltas).note


async def test_the_same_command_after_other_work_is_no_repetition() -> None:
    conversation = (UserMessage("Do it."), *tried("false", 1), *tried("touch x", 0, "c2"))
    async with wire_server(answer(BLOCK)) as wire:
        deltas = await ask(provider(wire), asked(*conversation))
    assert finished(deltas).stop_reason == "tool_calls"


async def test_giving_up_on_a_failure_is_questioned_once() -> None:
    async with wire_server(answer("It failed."), answer("I cannot.")) as wire:
        deltas = await ask(provider(wire), asked(UserMessage("Do it."), *tried("false", 1)))
    assert len(retries(deltas)) == 1
    assert items(deltas) == [AssistantMessage("I cannot.")]


async def test_stopping_before_a_named_file_is_made_is_questioned_once() -> None:
    task = UserMessage("Make a.html and b.html.")
    async with wire_server(answer("Done."), answer("```bash\ntouch b.html\n```\n")) as wire:
        deltas = await ask(provider(wire), asked(task, *tried("touch a.html", 0)))
    assert "b.html" in retries(deltas)[0].reason
    assert "a.html" not in retries(deltas)[0].reason
    (call,) = [item for item in items(deltas) if isinstance(item, ToolCall)]
    assert call.arguments == {"commands": ["touch b.html"]}


async def test_a_reply_is_begun_for_the_model_and_shown_whole() -> None:
    async with wire_server(answer("print(40 + 2)\n```\nIt prints 42.")) as wire:
        deltas = await ask(provider(wire), asked(UserMessage("Write total.py")))
    begun = {"role": "assistant", "content": "```python\n# total.py\n"}
    assert wire.requests[0].body["messages"][-1] == begun
    block = "```python\n# total.py\nprint(40 + 2)\n```\n"
    assert text(deltas) == block
    said, call = items(deltas)
    assert said == AssistantMessage(block)
    assert isinstance(call, ToolCall)
    assert call.arguments == {
        "path": "total.py",
        "content": "# total.py\nprint(40 + 2)\n",
        "command": "python3 total.py",
    }


async def test_a_finished_task_is_closed_in_words() -> None:
    conversation = (UserMessage("Make a.txt."), *tried("echo 1 > a.txt", 0))
    async with wire_server(answer(" written it.")) as wire:
        deltas = await ask(provider(wire), asked(*conversation))
    assert wire.requests[0].body["stop"] == ["```"]
    assert items(deltas) == [AssistantMessage("I have written it.")]
    assert finished(deltas).stop_reason == "end"


async def test_what_a_program_tells_the_model_stands_behind_its_own_prompt() -> None:
    told = ModelOptions(instructions="Speak like a captain.")
    async with wire_server(answer("Aye.")) as wire:
        await ask(provider(wire), dataclasses.replace(asked(), options=told))
    system = wire.requests[0].body["messages"][0]
    assert system["role"] == "system"
    assert system["content"].endswith("\n\nSpeak like a captain.")


async def test_a_new_message_may_ask_for_the_same_again() -> None:
    conversation = (UserMessage("Do it."), *tried("false", 1), UserMessage("Try again."))
    async with wire_server(answer(BLOCK)) as wire:
        deltas = await ask(provider(wire), asked(*conversation))
    assert finished(deltas).stop_reason == "tool_calls"


def test_a_long_conversation_loses_its_oldest_steps_and_never_the_message() -> None:
    conversation: list[Item] = [UserMessage("The task.")]
    for number in range(50):
        conversation += tried(f"echo {number} {'x' * 500}", 0, f"c{number}")
    messages = markdown_messages(conversation, max_tokens=4000)
    said = "".join(message["content"] for message in messages)
    assert len(said) < 4000 * 3 + 200
    assert "The task." in said
    assert "echo 49" in said
    assert "echo 1 " not in said
    assert "left out here" in said
    roles = [message["role"] for message in messages[1:]]
    assert all(one != two for one, two in itertools.pairwise(roles))


def test_output_reaches_the_model_as_head_and_tail() -> None:
    result = CommandResult("x", "a" * 10_000 + "end", "bad", {"kind": "exit", "exit_code": 1})
    conversation: list[Item] = [
        UserMessage("go"),
        ToolCall("c", "shell", {"commands": ["x"]}),
        ToolResultItem("c", "shell", [result]),
    ]
    told = markdown_messages(conversation, max_tokens=6000)[-1]["content"]
    assert len(told) < 4000
    assert "characters left out" in told
    assert "end" in told
    assert "bad" in told
    assert "exit code 1" in told


async def test_the_models_own_server_counts() -> None:
    rendered, tokens = Answer(body={"prompt": "<s>Do it."}), Answer(body={"tokens": [1, 2, 3]})
    async with wire_server(rendered, tokens, Answer(404, body={})) as wire:
        counting = provider(wire)
        assert await counting.count_tokens(asked()) == 3
        assert await counting.count_tokens(asked()) is None
    assert [sent.path for sent in wire.requests[:2]] == ["/apply-template", "/tokenize"]
    assert wire.requests[0].body["messages"][-1] == {"role": "user", "content": "Do it."}
    assert wire.requests[1].body["content"] == "<s>Do it."


async def test_a_summary_is_asked_for_in_plain_words() -> None:
    request = ModelRequest("Sum up.", [UserMessage("x" * 100_000)], [], purpose="summary")
    async with wire_server(answer("It was long.")) as wire:
        deltas = await ask(provider(wire), request)
    assert text(deltas) == "It was long."
    system, user = wire.requests[0].body["messages"]
    assert system["content"] == "Sum up."
    assert 10_000 < len(user["content"]) < 20_000
