"""Which calls of a turn run, also of one that is taken up again."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

from typing_extensions import override

from sessions.agent.limits import TurnLimits
from sessions.agent.loop import TurnState, run_turn
from sessions.agent.stop import StopSignal
from sessions.agent.tools.base import Tool, ToolContext
from sessions.events.types import EventBody, ToolResult
from sessions.providers.base import (
    AssistantMessage,
    Delta,
    Finished,
    Item,
    ItemDone,
    ModelRequest,
    ToolCall,
    ToolResultItem,
    ToolSpec,
    UserMessage,
)
from sessions.providers.scripted import ScriptedProvider


@dataclasses.dataclass(slots=True)
class Says(ScriptedProvider):
    @override
    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        yield ItemDone(AssistantMessage("Done."))
        yield Finished()


class Noting(Tool):
    def __init__(self) -> None:
        self.ran: list[str] = []

    @property
    @override
    def spec(self) -> ToolSpec:
        return ToolSpec("shell", "", {})

    @override
    async def run(self, call: ToolCall, context: ToolContext) -> ToolResultItem:
        self.ran.append(call.tool_call_id)
        return ToolResultItem(call.tool_call_id, call.name)


@dataclasses.dataclass(slots=True)
class Kept:
    """A recorder that keeps what it is given."""

    bodies: list[EventBody] = dataclasses.field(default_factory=list)

    async def record(self, *bodies: EventBody) -> None:
        self.bodies += bodies

    async def flush(self) -> None: ...


def context_of(recorder: Kept) -> ToolContext:
    """Of tools that need no container."""
    nothing: Any = None
    return ToolContext(recorder, nothing, nothing, nothing, nothing, nothing, StopSignal())


async def ran(*results: ToolResultItem) -> tuple[list[str], list[str]]:
    """Ids of the calls that ran, and of those that were refused, of three where two are allowed."""
    calls: list[Item] = [ToolCall(name, "shell", {}) for name in ("a", "b", "c")]
    tool, recorder = Noting(), Kept()
    await run_turn(
        provider=Says(),
        tools=[tool],
        context=context_of(recorder),
        instructions="",
        state=TurnState(1, [UserMessage("x"), *calls, *results], step=1, called=["shell"] * 3),
        limits=TurnLimits(10, 1000, max_calls=2),
    )
    told = [body for body in recorder.bodies if isinstance(body, ToolResult)]
    return tool.ran, [body.tool_call_id for body in told if body.item["text"]]


async def test_the_last_ones_are_refused() -> None:
    assert await ran() == (["a", "b"], ["c"])


async def test_one_that_had_begun_before_a_restart_goes_on_after_it() -> None:
    refused = ToolResultItem("c", "shell", text="Not run.")
    assert await ran(ToolResultItem("a", "shell"), refused) == (["b"], [])
