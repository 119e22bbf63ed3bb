"""Shape a conversation so that endpoints take it, whatever provider wrote it."""

import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sessions.providers.base import PYTHON, CommandResult, Item, ToolCall, ToolResultItem

NO_RESULT = "No result: the turn was ended before the call was done."


def with_paired_calls(conversation: Iterable[Item]) -> list[Item]:
    """Every call directly followed, after its siblings, by its result.

    Endpoints refuse a call without a result and a result without a call. A turn that was ended in
    between leaves the first kind: those get a result that says so.
    """
    items = list(conversation)
    results = {item.tool_call_id: item for item in items if isinstance(item, ToolResultItem)}
    paired: list[Item] = []
    unanswered: list[ToolCall] = []
    for item in items:
        if unanswered and not isinstance(item, ToolCall):
            paired.extend(_results(unanswered, results))
            unanswered = []
        if isinstance(item, ToolCall):
            unanswered.append(item)
        if not isinstance(item, ToolResultItem):
            paired.append(item)
    return paired + list(_results(unanswered, results))


def _results(
    calls: Sequence[ToolCall], results: dict[str, ToolResultItem]
) -> Iterator[ToolResultItem]:
    for call in calls:
        missing = ToolResultItem(call.tool_call_id, call.name, text=NO_RESULT)
        yield results.get(call.tool_call_id, missing)


def result_text(item: ToolResultItem) -> str:
    """A result in words, for models that take tool results as text."""
    if item.name == PYTHON and item.commands:
        return code_text(item)
    parts = [item.text] if item.text else []
    parts += [command_text(result) for result in item.commands]
    return "\n\n".join(parts) or "(no output)"


def code_text(item: ToolResultItem) -> str:
    """What code printed, how it ended where that says more, and what it showed."""
    parts = [logs_of(item).rstrip("\n")]
    parts += [
        f"[{ending_text(result)}]"
        for result in item.commands
        if result.ending.get("kind") == "exit"
        and result.ending != {"kind": "exit", "exit_code": 0}
    ]
    if item.images:
        parts.append(f"[{len(item.images)} shown as pictures]")
    return "\n".join(filter(None, parts)) or "(no output)"


def logs_of(item: ToolResultItem) -> str:
    """What code printed, with a last line where it did not end by itself."""
    logs = item.text
    for result in item.commands:
        logs += result.stdout
        for more in (result.stderr, _unusual_end(result)):
            logs += "\n" * bool(more and logs and not logs.endswith("\n")) + more
    return logs


def _unusual_end(result: CommandResult) -> str:
    return "" if result.ending.get("kind") == "exit" else f"[{ending_text(result)}]"


def command_text(result: CommandResult) -> str:
    lines = [f"$ {result.command}"]
    if result.stdout:
        lines.append(result.stdout.rstrip("\n"))
    if result.stderr:
        lines += ["[stderr]", result.stderr.rstrip("\n")]
    lines.append(f"[{ending_text(result)}]")
    return "\n".join(lines)


def ending_text(result: CommandResult) -> str:
    """How a command ended, as a phrase: `exit code 1`, `timed out after 30 s`."""
    ending = result.ending
    match ending.get("kind"):
        case "exit" if ending.get("oom_kills"):
            killed = "a process was killed, out of memory" + _figures(ending, "limit", "peak")
            return f"exit code {ending.get('exit_code')}; meanwhile {killed}"
        case "exit":
            return f"exit code {ending.get('exit_code')}"
        case "signal":
            return f"killed by {ending.get('signal') or 'a signal'}"
        case "timeout":
            limit = ending.get("timeout_s")
            return f"timed out after {limit:g} s" if limit else "timed out"
        case "stopped":
            return "stopped by the person"
        case "oom":
            return "killed: out of memory" + _figures(ending, "limit", "peak")
        case "disk_full":
            return "ended: the disk is full" + _figures(ending, "limit", "used")
        case "container_lost":
            return "ended: the container was lost"
        case kind:
            return f"ended: {kind}"


def _figures(ending: dict[str, Any], *names: str) -> str:
    """` (limit 100 bytes, used 120 bytes)`, as far as known."""
    known = [(name, ending.get(f"{name}_bytes")) for name in names]
    told = [f"{name} {size:,} bytes" for name, size in known if isinstance(size, int)]
    return f" ({', '.join(told)})" if told else ""


def exit_code(result: CommandResult) -> int:
    """The exit code, as a shell would report endings that have none: 128 + signal, else 137."""
    ending = result.ending
    if ending.get("kind") == "exit":
        return int(ending.get("exit_code") or 0)
    name = ending.get("signal")
    if isinstance(name, str) and name in signal.Signals.__members__:
        return 128 + signal.Signals[name]
    return 128 + signal.SIGKILL


def text_of(content: str | Iterable[Mapping[str, Any]] | None) -> str:
    """What of a message's parts is text."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in content or ())
