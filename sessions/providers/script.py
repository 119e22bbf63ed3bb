"""Read a person's message as a script: prose to say, blocks to run, `---` between steps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sessions.providers.base import Compacted, Item, ToolCall, ToolResultItem, UserMessage
from sessions.providers.conversation import ending_text
from sessions.providers.fences import Block, split
from sessions.providers.markdown import tool_arguments
from sessions.providers.tool_arguments import parse_arguments

STEP_SEPARATOR = "---"
MAX_COMMANDS_PER_CALL = 16
MAX_SAID_CHARACTERS = 4000
"""What of a step's prose is said back; a message can be a megabyte."""


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """`calls` are names and arguments of tools, all started together after `text` was said."""

    text: str
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """`closing` is said after the last step, before the exit codes."""

    steps: tuple[ScriptStep, ...]
    closing: str = ""


def parse_script(text: str) -> Script:
    steps: list[ScriptStep] = []
    prose: list[str] = []
    commands: list[str] = []
    files: list[tuple[str, dict[str, Any]]] = []
    behind: list[str] = []
    """Prose below the last block so far; at the very end it is the closing."""

    def end_step() -> None:
        # Prose without a block goes on into the next step, so that every step has calls.
        if commands or files:
            steps.append(ScriptStep(_said(prose), (*_shell_calls(commands), *files)))
            for collected in (prose, commands, files):
                collected.clear()

    for part in split(text):
        if isinstance(part, str):
            if part.strip() == STEP_SEPARATOR:
                prose += behind
                behind.clear()
                end_step()
            else:
                behind.append(part)
            continue
        match _call_of(part) or tool_arguments(part):
            case ("shell", {"commands": [str() as command]}):
                commands.append(command)
            case (str() as name, dict() as arguments):
                files.append((name, arguments))
            case _:
                behind.append(_shown(part))
                continue
        prose += behind
        behind.clear()
    end_step()
    return Script(tuple(steps), closing=_said([*prose, *behind]))


def _call_of(block: Block) -> tuple[str, dict[str, Any]] | None:
    """A block of `call NAME` holds the arguments of a function that a program gave."""
    words = block.info.split()
    if len(words) != 2 or words[0] != "call":
        return None
    return words[1], parse_arguments(words[1], block.content)


def _said(lines: Iterable[str]) -> str:
    text = "\n".join(lines).strip()
    if len(text) > MAX_SAID_CHARACTERS:
        return text[:MAX_SAID_CHARACTERS] + " …"
    return text


def _shown(block: Block) -> str:
    return f"```{block.info}\n{block.content}```"


def _shell_calls(commands: Sequence[str]) -> Iterable[tuple[str, dict[str, Any]]]:
    rest = iter(commands)
    while batch := list(islice(rest, MAX_COMMANDS_PER_CALL)):
        yield "shell", {"commands": batch}


def since_user(items: Sequence[Item]) -> tuple[str, Sequence[Item]]:
    """The latest user message and what followed it."""
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if isinstance(item, UserMessage):
            return item.text, items[index + 1 :]
    return "", items


def next_step(script: Script, since: Sequence[Item]) -> ScriptStep | None:
    """The first step of which not all calls were made yet; None after the last."""
    made = sum(isinstance(item, ToolCall) for item in since)
    made += sum(item.calls for item in since if isinstance(item, Compacted))
    for step in script.steps:
        if made < len(step.calls):
            return step
        made -= len(step.calls)
    return None


def endings(since: Sequence[Item]) -> list[str]:
    """How each command ended, as a phrase."""
    phrases: list[str] = []
    for item in since:
        if isinstance(item, ToolResultItem):
            phrases += [ending_text(command) for command in item.commands] or [
                "searched" if item.name == "file_search" else "not run"
            ]
    return phrases
