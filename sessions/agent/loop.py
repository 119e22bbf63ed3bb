"""One turn of the agent: ask, run tools, append, repeat.

The loop knows no database, no engine and no vendor. What it is given is all it knows; what it
records is all that remains. It can be called again with the conversation as recorded and goes on
where it was: calls without a result are run (under their old ids, so a command that is still
running is attached to), a model request without an end is repeated.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sessions.agent.compaction import Compacting
from sessions.agent.limits import (
    RepeatedItself,
    StepLimitReached,
    TokenLimitReached,
    TurnLimits,
)
from sessions.agent.reply import ask
from sessions.agent.room import Room
from sessions.agent.together import together
from sessions.agent.tools.base import Tool, ToolContext, ToolError
from sessions.errors import ContextOverflowError
from sessions.events.types import ToolResult
from sessions.providers.base import (
    Compacted,
    Item,
    ModelOptions,
    ModelRequest,
    Provider,
    ToolCall,
    ToolResultItem,
    ToolSpec,
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
    output_tokens: int = 0
    called: Sequence[str] = ()
    """Names of the tools that the turn has called."""
    used_ids: frozenset[str] = frozenset()
    """Of tool calls of other turns: an id names its commands for the life of the session."""
    is_compacted: bool = False
    """Whether the turn has shortened its conversation."""


async def run_turn(  # noqa: PLR0913 - what a turn is worked on with, all named
    *,
    provider: Provider,
    tools: Sequence[Tool],
    context: ToolContext,
    instructions: str,
    state: TurnState,
    limits: TurnLimits,
    callers_tools: Sequence[ToolSpec] = (),
    options: ModelOptions | None = None,
    compacting: Compacting | None = None,
) -> None:
    """Work until the model has no more calls to make, or has made one of `callers_tools`, which
    whoever asked for the turn runs.

    Raises: the TurnEnd family; ProviderError; SandboxUnavailableError or ImageNotFoundError when
    no container can be had; whatever `context.recorder` raises.
    """
    items, step, tokens = list(state.items), state.step, state.tokens
    output_tokens = state.output_tokens
    specs = [*(tool.spec for tool in tools), *callers_tools]
    theirs = {spec.name: spec for spec in callers_tools}
    calls = sum(name not in theirs for name in state.called)
    options = options or ModelOptions()
    room = Room(provider, context, state.turn, compacting, truncation=options.truncation)
    if compacting is not None and compacting.is_all:
        if not state.is_compacted:
            await room.compacted(ModelRequest(instructions, items, specs))
        return
    while True:
        pending = list(pending_calls(items))
        wrong = [call for call in pending if _problem(call, theirs)]
        ours = [call for call in pending if call.name not in theirs]
        over = 0 if limits.max_calls is None else calls - limits.max_calls
        items += await _run_calls(ours, _refused(items, theirs, over), tools, context)
        items += [
            await _refuse(call, ToolError(_problem(call, theirs)), context) for call in wrong
        ]
        context.stop.check()
        if len(ours) + len(wrong) < len(pending):
            return
        if step and isinstance(items[-1], ToolResultItem):
            _check_repetition(items)
        _check_limits(limits, step, tokens)
        if step and not isinstance(items[-1], ToolResultItem | UserMessage | Compacted):
            return
        asked = _options(options, limits, output_tokens, has_called=calls > 0)
        request = await room.made(ModelRequest(instructions, items, specs, asked))
        try:
            reply = await ask(
                provider, request, context, turn=state.turn, step=step + 1, used_ids=state.used_ids
            )
        except ContextOverflowError as error:
            items = list((await room.made_after(request, error)).items)
            continue
        step += 1
        items = [*request.items, *reply.items]
        room.answered(items, reply)
        tokens += reply.tokens + room.taken_tokens()
        output_tokens += reply.output_tokens
        made = [item for item in reply.items if isinstance(item, ToolCall)]
        calls += sum(call.name not in theirs for call in made)
        if not made:
            return


def _check_limits(limits: TurnLimits, step: int, tokens: int) -> None:
    """Raises: StepLimitReached, TokenLimitReached."""
    if step >= limits.max_steps:
        raise StepLimitReached(f"The limit of {limits.max_steps} steps is reached.")
    if tokens >= limits.max_tokens:
        raise TokenLimitReached(f"The limit of {limits.max_tokens:,} tokens is reached.")


def _options(
    options: ModelOptions, limits: TurnLimits, output_tokens: int, *, has_called: bool
) -> ModelOptions:
    """A call that was asked for is made once; then the model is free to end. Raises:
    TokenLimitReached."""
    if has_called and options.tool_choice not in (None, "none"):
        options = dataclasses.replace(options, tool_choice="auto")
    if limits.max_output_tokens is None:
        return options
    left = limits.max_output_tokens - output_tokens
    if left <= 0:
        raise TokenLimitReached(f"The {limits.max_output_tokens:,} tokens of output are used up.")
    return dataclasses.replace(options, max_output_tokens=left)


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


def _problem(call: ToolCall, theirs: Mapping[str, ToolSpec]) -> str:
    """Why it cannot go to the caller, who runs it; empty when it can, and for calls of ours."""
    spec = theirs.get(call.name)
    return spec.problem(call.arguments) if spec is not None and spec.problem else ""


def _refused(items: Sequence[Item], theirs: Collection[str], over: int) -> dict[str, str]:
    """Which calls of the last step are not run, and why: by their place in the step, so that one
    that was begun before a restart is not among them after it. The last `over` of the step are more
    than the turn may make."""
    ids = [call.tool_call_id for call in _last_step(items) if call.name not in theirs]
    used_up = "The tool calls of this response are used up; this one was not run."
    at_a_time = f"At most {MAX_CALLS} calls at a time; this one was not run."
    refused = dict.fromkeys(ids[MAX_CALLS:], at_a_time)
    return refused | dict.fromkeys(ids[max(0, len(ids) - over) :] if over > 0 else (), used_up)


def _last_step(items: Sequence[Item]) -> list[ToolCall]:
    """What it called, whether or not there are results of it."""
    calls: list[ToolCall] = []
    for item in reversed(items):
        if calls and isinstance(item, ToolResultItem | UserMessage):
            break
        if isinstance(item, ToolCall):
            calls.append(item)
    return calls[::-1]


async def _run_calls(
    calls: Sequence[ToolCall],
    refused: Mapping[str, str],
    tools: Sequence[Tool],
    context: ToolContext,
) -> list[ToolResultItem]:
    """All calls of a step at the same time; results in the order of the calls, less those that are
    `refused`, which come last."""
    if not calls:
        return []
    # The calls must be stored before they run: a restart looks for them in the log.
    await context.recorder.flush()
    by_name = {tool.spec.name: tool for tool in tools}
    told = [
        await _refuse(call, ToolError(refused[call.tool_call_id]), context)
        for call in calls
        if call.tool_call_id in refused
    ]
    running = [call for call in calls if call.tool_call_id not in refused]
    return await together(_run_call(call, by_name, context) for call in running) + told


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
