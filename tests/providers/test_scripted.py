"""The scripted provider does what the message says, step by step, and knows where it is."""

import pytest

from sessions.providers.base import (
    AssistantMessage,
    CommandResult,
    Item,
    ModelRequest,
    TextDelta,
    ToolCall,
    ToolResultItem,
    UserMessage,
)
from sessions.providers.scripted import ScriptedProvider
from sessions.providers.tour import TOUR
from tests.providers.asking import ask, finished, items, text

SCRIPT = """\
Say hello and count.
```bash
echo hello
```
```bash
seq 5
```
---
Now a file.
```python
# hello.py
print("hi")
```
---
```bash
exit 3
```
That was it.
"""


async def say(*conversation: Item) -> tuple[str, list[ToolCall], str]:
    deltas = await ask(ScriptedProvider(), ModelRequest("", conversation, []))
    calls = [item for item in items(deltas) if isinstance(item, ToolCall)]
    said = [item.text for item in items(deltas) if isinstance(item, AssistantMessage)]
    assert text(deltas) == "".join(said)
    return text(deltas), calls, finished(deltas).stop_reason


async def play(script: str, codes: dict[str, int] | None = None) -> list[Item]:
    """The whole turn; each command ends with its code in `codes`, 0 unless named."""
    conversation: list[Item] = [UserMessage(script)]
    while True:
        said, calls, stop_reason = await say(*conversation)
        conversation += [AssistantMessage(said), *calls]
        if stop_reason == "end":
            return conversation
        for call in calls:
            texts = call.arguments.get("commands") or [call.arguments["command"]]
            results = [
                CommandResult(t, "", "", {"kind": "exit", "exit_code": (codes or {}).get(t, 0)})
                for t in texts
            ]
            conversation.append(ToolResultItem(call.tool_call_id, call.name, results))


async def test_blocks_without_a_separator_start_together() -> None:
    said, calls, stop_reason = await say(UserMessage(SCRIPT))
    assert said == "Say hello and count."
    assert [call.arguments for call in calls] == [{"commands": ["echo hello", "seq 5"]}]
    assert stop_reason == "tool_calls"


async def test_all_steps_are_played_and_the_codes_are_told() -> None:
    turn = await play(SCRIPT, {"exit 3": 3})
    calls = [item for item in turn if isinstance(item, ToolCall)]
    assert [call.name for call in calls] == ["shell", "run_file", "shell"]
    assert calls[1].arguments["path"] == "hello.py"
    assert len({call.tool_call_id for call in calls}) == 3
    closing = turn[-1]
    assert isinstance(closing, AssistantMessage)
    assert closing.text == "That was it.\n\nDone: 4 commands, exit codes 0, 0, 0, 3."


async def test_endings_without_a_code_are_named() -> None:
    call = ToolCall("c", "shell", {"commands": ["sleep 9"]})
    result = ToolResultItem("c", "shell", [CommandResult("sleep 9", "", "", {"kind": "timeout"})])
    said, _, _ = await say(UserMessage("```bash\nsleep 9\n```"), call, result)
    assert said == "Done: 1 command, timed out."


async def test_a_follow_up_starts_its_own_script() -> None:
    turn = await play("```bash\nls\n```")
    said, calls, _ = await say(*turn, UserMessage("Again.\n```bash\npwd\n```"))
    assert said == "Again."
    assert calls[0].arguments == {"commands": ["pwd"]}


async def test_a_message_without_blocks_is_told_how_to_script() -> None:
    said, calls, stop_reason = await say(UserMessage("Write a merge sort."))
    assert "no model behind it" in said
    assert said.startswith("Write a merge sort.")
    assert (calls, stop_reason) == ([], "end")


@pytest.mark.parametrize(
    "message", ["", "x" * 1_000_000, "\0\ud800 \x1b[2J", "```bash", "---\n" * 99]
)
async def test_odd_messages_are_answered_in_bounds(message: str) -> None:
    said, _, stop_reason = await say(UserMessage(message))
    assert len(said) < 6000
    assert stop_reason == "end"


async def test_many_blocks_are_put_into_calls_the_tool_takes() -> None:
    _, calls, _ = await say(UserMessage("```bash\ntrue\n```\n" * 40))
    assert [len(call.arguments["commands"]) for call in calls] == [16, 16, 8]


async def test_text_comes_in_several_pieces() -> None:
    message = "one two three four five six seven\n```bash\nls\n```"
    deltas = await ask(ScriptedProvider(), ModelRequest("", [UserMessage(message)], []))
    assert len([delta for delta in deltas if isinstance(delta, TextDelta)]) == 3


async def test_the_tour_plays_to_its_end() -> None:
    turn = await play("/tour")
    calls = [item for item in turn if isinstance(item, ToolCall)]
    assert len(calls) == sum(len(step.calls) for step in TOUR.steps) == 7
    closing = turn[-1]
    assert isinstance(closing, AssistantMessage)
    assert "That was the tour" in closing.text
