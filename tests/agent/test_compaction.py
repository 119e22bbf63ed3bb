"""What of a conversation goes on when it has become too long."""

from typing import Any

from sessions.agent.compaction import MAX_PARTS_CHARS, compact, without_oldest
from sessions.providers.base import (
    AssistantMessage,
    Item,
    ToolCall,
    ToolResultItem,
    UserMessage,
)
from sessions.providers.scripted import ScriptedProvider


def call(name: str) -> ToolCall:
    return ToolCall(name, "shell", {"commands": ["true"]})


def result(name: str) -> ToolResultItem:
    return ToolResultItem(name, "shell", text="done")


def orphans(items: list[Item]) -> list[str]:
    calls = {item.tool_call_id for item in items if isinstance(item, ToolCall)}
    results = [item.tool_call_id for item in items if isinstance(item, ToolResultItem)]
    return [name for name in results if name not in calls]


def test_what_is_left_begins_with_a_message_and_has_no_result_without_its_call() -> None:
    said: list[Item] = []
    for number in range(9):
        said += [UserMessage(f"word {number}"), call(f"c{number}"), result(f"c{number}")]
    for cut in range(3, len(said)):
        left = without_oldest(said[:cut])
        if left is None:
            continue
        assert isinstance(left[0], UserMessage)
        assert orphans(left) == []
    after_one: list[Item] = [UserMessage("Do it all.")]
    for number in range(5):
        after_one += [call(f"a{number}"), call(f"b{number}")]
        after_one += [result(f"a{number}"), result(f"b{number}")]
    for cut in range(3, len(after_one) + 1):
        left = without_oldest(after_one[:cut])
        assert left is not None
        assert left[0] == after_one[0]
        assert orphans(left) == []
        assert len(left) < cut


async def test_pictures_of_many_messages_have_room_together() -> None:
    picture: dict[str, Any] = {"type": "input_image", "image_url": "x" * (MAX_PARTS_CHARS // 2)}
    items: list[Item] = []
    for number in range(4):
        items += [UserMessage(f"Look {number}", parts=[picture]), AssistantMessage("Nice.")]
    made = await compact(ScriptedProvider(), items, is_all=True)
    kept = [item for item in made.items if isinstance(item, UserMessage)]
    assert [item.text.splitlines()[0] for item in kept] == [f"Look {n}" for n in range(4)]
    assert [item.parts is not None for item in kept] == [False, False, False, True]
    assert "left out" in kept[0].text
