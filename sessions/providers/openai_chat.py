"""Any endpoint that speaks Chat Completions, with function tools."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletionChunk, ChatCompletionStreamOptionsParam

from sessions.errors import ModelRefusedError
from sessions.providers.base import ALL_ABILITIES, Ability, Delta, ModelRequest
from sessions.providers.chat_messages import Message, chat_messages, chat_options, chat_tools
from sessions.providers.chat_reply import ChatReply
from sessions.providers.endpoint import Endpoint, RetryPolicy
from sessions.providers.openai_errors import connected, cut_stream, refused_parameter
from sessions.providers.retry import with_retries
from sessions.providers.streamed import stream_objects

_OPTIONAL = ("stream_options",)
AUTO_MODEL = "auto"
"""Stands for the first model the endpoint lists: many local servers have but one."""


@dataclass(slots=True)
class OpenAIChat:
    endpoint: Endpoint
    model: str
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Sent with every request, for what an endpoint knows beyond the standard."""
    kind: str = "openai_chat"
    is_tool_markdown: bool = False
    takes: frozenset[Ability] = ALL_ABILITIES
    _refused: set[str] = field(default_factory=set)
    """Optional parameters this endpoint does not take, learnt from its answers."""
    _found_model: str = ""

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        deltas = self.stream_messages(
            chat_messages(request),
            chat_tools(request.tools),
            options=chat_options(request.options),
        )
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    def stream_messages(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] = (),
        *,
        options: Mapping[str, Any] | None = None,
        is_enough: Callable[[], bool] = lambda: False,
    ) -> AsyncGenerator[Delta, None]:
        """`is_enough` is asked after each delta; True ends the answer there as if the model had.

        Raises, from the iterator: ProviderError.
        """
        return with_retries(
            lambda: self._attempt(messages, tools, options or {}, is_enough), self.retry
        )

    async def _attempt(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        options: Mapping[str, Any],
        is_enough: Callable[[], bool],
    ) -> AsyncGenerator[Delta, None]:
        reply = ChatReply()
        async with (
            connected(self.endpoint, self.model) as client,
            await self._open(client, messages, tools, options) as stream,
            aclosing(stream_objects(stream)) as chunks,
        ):
            async for chunk in chunks:
                for delta in reply.feed(chunk):
                    yield delta
                if is_enough():
                    reply.finish_reason = "stop"
                    break
        if not reply.finish_reason:
            raise cut_stream()
        for delta in reply.ending():
            yield delta

    async def _model_name(self, client: openai.AsyncOpenAI) -> str:
        if self.model != AUTO_MODEL:
            return self.model
        if not self._found_model:
            async for found in client.models.list():
                self._found_model = found.id
                break
            else:
                raise ModelRefusedError(
                    "The endpoint names no model.", hint="Set BERTH_MODEL to the one to use."
                )
        return self._found_model

    def _stream_options(self) -> ChatCompletionStreamOptionsParam | openai.Omit:
        if "stream_options" in self._refused:
            return openai.omit
        return {"include_usage": True}

    async def _open(
        self,
        client: openai.AsyncOpenAI,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        options: Mapping[str, Any],
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        while True:
            try:
                return await client.chat.completions.create(
                    model=await self._model_name(client),
                    messages=cast("Any", messages),
                    tools=cast("Any", tools) or openai.omit,
                    stream=True,
                    stream_options=self._stream_options(),
                    extra_body={**self.extra_body, **options} or None,
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                name = refused_parameter(error, set(_OPTIONAL) - self._refused)
                if name is None:
                    raise
                self._refused.add(name)
