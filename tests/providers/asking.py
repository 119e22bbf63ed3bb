"""Ask a provider and collect what it says."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from sessions.providers.base import (
    Delta,
    Finished,
    Item,
    ItemDone,
    ModelOptions,
    ModelRequest,
    Provider,
    ReasoningDelta,
    Retrying,
    TextDelta,
    ToolSpec,
    UserMessage,
)
from sessions.providers.endpoint import Endpoint, RetryPolicy

KEY = "sk-test-1234567890abcdef"
QUICK = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, longest_server_wait_s=5)
SHELL = ToolSpec(
    "shell",
    "Run commands.",
    {"type": "object", "properties": {"commands": {"type": "array", "items": {"type": "string"}}}},
)
LOOK = ToolSpec("look", "Look.", {"type": "object", "properties": {}})


def endpoint(base_url: str, **options: Any) -> Endpoint:
    return Endpoint(base_url, KEY, is_proxied=False, **options)


def request(
    *items: Item,
    tools: Sequence[ToolSpec] = (SHELL,),
    instructions: str = "Be brief.",
    options: ModelOptions | None = None,
) -> ModelRequest:
    asked = items or (UserMessage("List my files."),)
    return ModelRequest(instructions, asked, tools, options or ModelOptions())


async def ask(provider: Provider, asked: ModelRequest | None = None) -> list[Delta]:
    stream = provider.stream(asked or request())
    async with aclosing(stream):  # type: ignore[type-var]  # every provider is a generator
        return [delta async for delta in stream]


def text(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def reasoning(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))


def items(deltas: Sequence[Delta]) -> list[Item]:
    return [delta.item for delta in deltas if isinstance(delta, ItemDone)]


def retries(deltas: Sequence[Delta]) -> list[Retrying]:
    return [delta for delta in deltas if isinstance(delta, Retrying)]


def finished(deltas: Sequence[Delta]) -> Finished:
    last = deltas[-1]
    assert isinstance(last, Finished)
    return last
