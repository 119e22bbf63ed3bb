"""The Responses API through the official client: the shell tool, carried out by us.

Nothing is stored at the endpoint (`store=False`); reasoning comes back encrypted and is replayed.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

import openai
from openai.types.responses import ResponseIncludable, ResponseStreamEvent
from openai.types.shared_params import Reasoning

from sessions.errors import ProviderError
from sessions.providers.base import ALL_ABILITIES, Ability, Delta, ModelRequest
from sessions.providers.endpoint import Endpoint, RetryPolicy
from sessions.providers.openai_errors import (
    connected,
    cut_stream,
    facts_of_body,
    failure,
    refused_parameter,
)
from sessions.providers.patches import APPLY_PATCH
from sessions.providers.responses_input import (
    responses_input,
    responses_options,
    responses_tools,
)
from sessions.providers.responses_reply import ResponsesReply
from sessions.providers.retry import PassingFailure, with_retries
from sessions.providers.streamed import stream_objects

_INCLUDE: list[ResponseIncludable] = ["reasoning.encrypted_content"]
_REASONING: Reasoning = {"summary": "auto"}
_OPTIONAL = {"include", "reasoning"}
"""Models that do not reason refuse these; they are then left out for good."""
_TOOLS = ("shell", APPLY_PATCH)


@dataclass(slots=True)
class OpenAIResponses:
    endpoint: Endpoint
    model: str
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    kind: str = "openai_responses"
    is_tool_markdown: bool = False
    takes: frozenset[Ability] = ALL_ABILITIES
    _refused: set[str] = field(default_factory=set)
    """Optional parameters, and tools of the API's own, that this model does not take."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """Raises, from the iterator: ProviderError."""
        deltas = with_retries(lambda: self._attempt(request), self.retry)
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """As the endpoint counts; None for one that does not know how, or cannot at the moment."""
        has_shell, has_patch = (name not in self._refused for name in _TOOLS)
        try:
            async with connected(self.endpoint, self.model) as client:
                counted = await client.responses.input_tokens.count(
                    model=self.model,
                    instructions=request.instructions or openai.omit,
                    input=cast(
                        "Any",
                        responses_input(request.items, has_shell=has_shell, has_patch=has_patch),
                    ),
                    tools=cast(
                        "Any",
                        responses_tools(request.tools, has_shell=has_shell, has_patch=has_patch),
                    ),
                )
        except (ProviderError, PassingFailure):
            return None
        # Servers that do not know the address may answer it with anything.
        tokens: object = getattr(counted, "input_tokens", None)
        return tokens if isinstance(tokens, int) else None

    async def _attempt(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        reply = ResponsesReply()
        async with (
            connected(self.endpoint, self.model) as client,
            await self._open(client, request) as stream,
            aclosing(stream_objects(stream)) as events,
        ):
            async for event in events:
                for delta in reply.feed(event):
                    yield delta
                if reply.failure is not None:
                    facts = facts_of_body(reply.failure, "the response failed")
                    raise failure(facts, self.endpoint, self.model)
        if reply.response is None:
            raise cut_stream()
        for delta in reply.ending():
            yield delta

    async def _open(
        self, client: openai.AsyncOpenAI, request: ModelRequest
    ) -> openai.AsyncStream[ResponseStreamEvent]:
        while True:
            has_shell, has_patch = (name not in self._refused for name in _TOOLS)
            try:
                return await client.responses.create(
                    model=self.model,
                    instructions=request.instructions or openai.omit,
                    input=cast(
                        "Any",
                        responses_input(request.items, has_shell=has_shell, has_patch=has_patch),
                    ),
                    tools=cast(
                        "Any",
                        responses_tools(request.tools, has_shell=has_shell, has_patch=has_patch),
                    ),
                    store=False,
                    stream=True,
                    include=openai.omit if "include" in self._refused else _INCLUDE,
                    reasoning=self._reasoning(request),
                    extra_body=responses_options(request.options, refused=self._refused),
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                name = self._refused_now(error)
                if name is None:
                    raise
                self._refused.add(name)

    def _reasoning(self, request: ModelRequest) -> Reasoning | openai.Omit:
        """What the caller asked for is sent, and refused by the endpoint if it must be."""
        if request.options.reasoning:
            return cast("Reasoning", {**_REASONING, **request.options.reasoning})
        return openai.omit if "reasoning" in self._refused else _REASONING

    def _refused_now(self, error: openai.APIStatusError) -> str | None:
        name = refused_parameter(error, _OPTIONAL - self._refused)
        if name is None and "encrypted content" in error.message.lower():
            name = "include"
        # "Tool 'shell' is not supported with this model": it may still take functions.
        if name is None and "support" in error.message.lower():
            name = next((tool for tool in _TOOLS if tool in error.message.lower()), None)
        return name if name not in self._refused else None
