"""A conversation as a small model is shown it: words and fenced blocks, no tools."""

from collections.abc import Sequence

from sessions.providers.base import (
    PYTHON,
    AssistantMessage,
    Compacted,
    Item,
    ModelRequest,
    ToolCall,
    ToolResultItem,
    UserMessage,
)
from sessions.providers.chat_messages import Message
from sessions.providers.conversation import with_paired_calls
from sessions.providers.fences import Block, split
from sessions.providers.markdown_prompt import (
    already_made,
    fresh_start,
    has_succeeded,
    instructions,
    result_message,
    still_to_make,
)
from sessions.providers.outstanding import MAX_TASK_CHARS, outstanding_files, saved_paths
from sessions.providers.script import since_user

CHARS_PER_TOKEN = 3.0
"""On the low side for code, so that the estimate errs to the safe side."""
_LEFT_OUT = "[Earlier steps are left out here.]"


def markdown_messages(
    items: Sequence[Item], *, max_tokens: int, asked: str | None = None
) -> list[Message]:
    """System text, with what a program `asked` for at its end, then the conversation cut to
    `max_tokens`: the oldest steps go first, the person's latest message never."""
    task, _ = since_user(items)
    told = _system(task, asked)
    conversation = _fitting(_messages(items), int(max_tokens * CHARS_PER_TOKEN) - len(told))
    return [{"role": "system", "content": told}, *conversation]


def _system(task: str, asked: str | None) -> str:
    told = instructions(task[:MAX_TASK_CHARS])
    return f"{told}\n\n{asked}" if asked else told


def plain_messages(request: ModelRequest, max_tokens: int) -> list[Message]:
    """Of a request for words alone: its one message cut to `max_tokens`, head and tail."""
    text, _ = since_user(request.items)
    room = int(max_tokens * CHARS_PER_TOKEN) - len(request.instructions)
    if len(text) > room:
        text = f"{text[: room // 4]}\n{_LEFT_OUT}\n{text[room // 4 - room :]}"
    return [
        {"role": "system", "content": request.instructions},
        {"role": "user", "content": text},
    ]


def fresh_messages(items: Sequence[Item], asked: str | None = None) -> list[Message]:
    """The latest task, what was made for it, and what is missing or how the last block failed.

    Without any block: a small model copies what it wrote before.
    """
    task, since = since_user(items)
    results = [item for item in since if isinstance(item, ToolResultItem)]
    missing = outstanding_files(items)
    told = task
    if missing and results and has_succeeded(results[-1]):
        paths = dict.fromkeys(
            path for item in since if isinstance(item, ToolCall) for path in saved_paths(item)
        )
        told = f"{task}\n\n{already_made(list(paths))}{still_to_make(missing)}"
    elif results:
        told = fresh_start(task, result_message(results[-1]))
    return [
        {"role": "system", "content": _system(task, asked)},
        {"role": "user", "content": told},
    ]


def _messages(items: Sequence[Item]) -> list[Message]:
    messages: list[Message] = []
    missing = outstanding_files(items)
    for item in with_paired_calls(items):
        match item:
            case UserMessage(text):
                messages.append({"role": "user", "content": text, "is_person": True})
            case Compacted(text):
                messages.append({"role": "user", "content": text})
            case AssistantMessage(text):
                messages.append({"role": "assistant", "content": text})
            case ToolCall():
                # A call that was not read from the text before it, of another provider's session.
                if not (messages and messages[-1]["role"] == "assistant" and _has_block(messages)):
                    messages.append({"role": "assistant", "content": _as_block(item)})
            case ToolResultItem():
                messages.append(
                    {
                        "role": "user",
                        "content": result_message(item, missing if item is items[-1] else ()),
                    }
                )
    return messages


def _has_block(messages: Sequence[Message]) -> bool:
    return any(isinstance(part, Block) for part in split(messages[-1]["content"]))


def _as_block(call: ToolCall) -> str:
    if call.name == PYTHON:
        return f"```python\n{call.arguments.get('code', '')}\n```"
    if call.name == "run_file":
        return f"```\n{call.arguments.get('content', '')}\n```"
    commands = call.arguments.get("commands")
    lines = commands if isinstance(commands, list) else []
    return "```bash\n{}\n```".format("\n".join(str(line) for line in lines))


def _fitting(messages: Sequence[Message], budget: int) -> list[Message]:
    """The person's latest message, what came after it and then what came before, as far as
    `budget` characters reach, newest first; in their order."""
    if not messages:
        return []
    latest = max((i for i, m in enumerate(messages) if m.get("is_person")), default=0)
    kept = [latest]
    budget -= len(messages[latest]["content"])
    for index in reversed([i for i in range(len(messages)) if i != latest]):
        budget -= len(messages[index]["content"])
        if budget < 0:
            break
        kept.append(index)
    fitting = [messages[index] for index in sorted(kept)]
    if len(fitting) < len(messages):
        fitting.insert(0, {"role": "user", "content": _LEFT_OUT})
    return _merged(fitting)


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Roles in turn, as chat templates demand."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1]["content"] += f"\n\n{message['content']}"
        else:
            merged.append({"role": message["role"], "content": message["content"]})
    return merged
