"""One turn of the agent: ask, run tools, append, repeat.

The loop knows no database, no engine and no vendor. What it is given is all it knows; what it
records is all that remains. It can be called again with the conversation as recorded and goes on
where it was: calls without a result are run (under their old ids, so a command that is still
running is attached to), a model request without an end is repeated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sessions.agent.limits import (
    RepeatedItself,
    StepLimitReached,
    TokenLimitReached,
    TurnLimits,
)
from sessions.agent.reply import Reply, ask
from sessions.agent.together import together
from sessions.agent.tools.base import Tool, ToolContext, ToolError
from sessions.events.types import ToolResult
from sessions.providers.base import (
    Item,
    ModelRequest,
    Provider,
    ToolCall,
    ToolResultItem,
    UserMessage,
    item_to_json,
)

MAX_CALLS = 8
"""Of one step, run at the same time."""
MAX_SAME_CALLS = 6
"""The same calls this often in a row end the turn: the model goes in circles."""


@dataclass(frozen=True, slots=True)
class TurnState:
    """Where the turn stands: `step` requests ended, `tokens` used, `items` so far."""

    turn: int
    items: list[Item]
    step: int = 0
    tokens: int = 0


async def run_turn(
    *,
    provider: Provider,
    tools: Sequence[Tool],
    context: ToolContext,
    instructions: str,
    state: TurnState,
    limits: TurnLimits,
) -> None:
    """Work until the model has no more calls to make.

    Raises: the TurnEnd family; ProviderError; SandboxUnavailableError or ImageNotFoundError when
    no container can be had; whatever `context.recorder` raises.
    """
    items, step, tokens = list(state.items), state.step, state.tokens
    while True:
        items += await _run_calls(list(pending_calls(items)), tools, context)
        context.stop.check()
        if step and isinstance(items[-1], ToolResultItem):
            _check_repetition(items)
        if step >= limits.max_steps:
            raise StepLimitReached(f"The limit of {limits.max_steps} steps is reached.")
        if tokens >= limits.max_tokens:
            raise TokenLimitReached(f"The limit of {limits.max_tokens:,} tokens is reached.")
        if step and not isinstance(items[-1], ToolResultItem | UserMessage):
            return
        step += 1
        request = ModelRequest(instructions, items, [tool.spec for tool in tools])
        reply = await ask(provider, request, context, turn=state.turn, step=step)
        items.extend(reply.items)
        tokens += reply.tokens
        if not _has_calls(reply):
            return


def _has_calls(reply: Reply) -> bool:
    return any(isinstance(item, ToolCall) for item in reply.items)


def pending_calls(items: Sequence[Item]) -> Iterator[ToolCall]:
    """The calls that have no result yet, in their order."""
    done = {item.tool_call_id for item in items if isinstance(item, ToolResultItem)}
    for item in items:
        if isinstance(item, ToolCall) and item.tool_call_id not in done:
            yield item


def _check_repetition(items: Sequence[Item]) -> None:
    calls = [(item.name, str(item.arguments)) for item in items if isinstance(item, ToolCall)][
        -MAX_SAME_CALLS:
    ]
    since_user = 0
    for item in reversed(items):
        if isinstance(item, UserMessage):
            break
        since_user += isinstance(item, ToolCall)
    if since_user >= MAX_SAME_CALLS and len(set(calls)) == 1:
        raise RepeatedItself("The model asked for the same command again and again.")


async def _run_calls(
    calls: Sequence[ToolCall], tools: Sequence[Tool], context: ToolContext
) -> list[ToolResultItem]:
    """All calls of a step at the same time; results in the order of the calls."""
    if not calls:
        return []
    # The calls must be stored before they run: a restart looks for them in the log.
    await context.recorder.flush()
    by_name = {tool.spec.name: tool for tool in tools}
    if len(calls) > MAX_CALLS:
        too_many = ToolError(f"At most {MAX_CALLS} calls at a time; this one was not run.")
        rest = [await _refuse(call, too_many, context) for call in calls[MAX_CALLS:]]
        return await _run_calls(calls[:MAX_CALLS], tools, context) + rest
    return await together(_run_call(call, by_name, context) for call in calls)


async def _run_call(
    call: ToolCall, tools: dict[str, Tool], context: ToolContext
) -> ToolResultItem:
    try:
        if call.name not in tools:
            raise ToolError(f"There is no tool {call.name!r}. Tools: {', '.join(tools)}.")
        result = await tools[call.name].run(call, context)
    except ToolError as error:
        return await _refuse(call, error, context)
    await context.recorder.record(ToolResult(call.tool_call_id, item_to_json(result)))
    return result


async def _refuse(call: ToolCall, error: ToolError, context: ToolContext) -> ToolResultItem:
    result = ToolResultItem(call.tool_call_id, call.name, text=str(error))
    await context.recorder.record(ToolResult(call.tool_call_id, item_to_json(result)))
    return result
