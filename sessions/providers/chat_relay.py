"""A chat completion passed on to an endpoint that speaks that API, and its answer as it comes.

Not asked again after a failure: the program that asks is told, and its client knows how to.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai

from sessions.errors import ProviderError
from sessions.providers.base import Delta, Finished, ItemDone
from sessions.providers.chat_answer import (
    DONE,
    Answer,
    ChatRefusalError,
    Piece,
    frame,
    usage_of,
)
from sessions.providers.chat_render import refusal_of
from sessions.providers.chat_reply import ChatReply
from sessions.providers.endpoint import Endpoint
from sessions.providers.failures import Facts, describe, mask_secrets
from sessions.providers.openai_errors import (
    client_of,
    facts_of_body,
    is_timeout,
    refused_parameter,
)
from sessions.providers.server_sent import EventTooLargeError, data_of, raw_events

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_OURS = {401, 402, 403}
"""Statuses that are about the key towards the endpoint, of which the program knows nothing."""
_HEADERS = ("retry-after", "retry-after-ms", "x-should-retry")
_CHOICES = 16


@dataclass(frozen=True, slots=True)
class ChatTarget:
    endpoint: Endpoint
    model: str
    """As the endpoint knows it."""
    is_local: bool = False
    """The embedded model: chunks name it by its alias, and its replies may run away."""
    max_tokens: int | None = None
    """The most that is asked for."""


@dataclass(slots=True)
class _Choices:
    """All choices of an answer, put together from its chunks."""

    replies: dict[int, ChatReply] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] | None = None

    def feed(self, chunk: Mapping[str, Any]) -> list[Delta]:
        """What of it goes into the log: the first choice as it comes."""
        for name in ("id", "created", "model", "system_fingerprint", "service_tier"):
            if chunk.get(name) is not None:
                self.head.setdefault(name, chunk[name])
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        deltas: list[Delta] = []
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            index = choice.get("index") or 0
            if index not in self.replies and len(self.replies) >= _CHOICES:
                continue
            reply = self.replies.setdefault(index, ChatReply())
            fed = list(reply.feed({"choices": [choice], "timings": chunk.get("timings")}))
            deltas += fed if index == min(self.replies) else []
        return deltas

    @property
    def is_complete(self) -> bool:
        return bool(self.replies) and all(r.finish_reason for r in self.replies.values())

    def ending(self) -> list[Delta]:
        """Of the first choice, then the texts of others."""
        deltas: list[Delta] = []
        for index in sorted(self.replies):
            reply = self.replies[index]
            if self.usage is not None:
                list(reply.feed({"usage": self.usage}))
            ended = list(reply.ending())
            is_first = index == min(self.replies)
            deltas += [d for d in ended if is_first or isinstance(d, ItemDone)]
        return sorted(deltas, key=lambda delta: isinstance(delta, Finished))

    def answer(self) -> Answer:
        tokens = next(((r.input_tokens, r.output_tokens) for r in self.replies.values()), (0, 0))
        return {
            "object": "chat.completion",
            **self.head,
            "choices": [
                {
                    "index": index,
                    "message": reply.message(),
                    "logprobs": None,
                    "finish_reason": reply.finish_reason,
                }
                for index, reply in sorted(self.replies.items())
            ],
            "usage": self.usage or usage_of(*tokens),
        }


async def relayed(
    target: ChatTarget, body: Mapping[str, Any], *, shown_model: str, wants_usage: bool
) -> AsyncGenerator[Piece, None]:
    """`shown_model` stands in the answer of the embedded model. Raises, from the iterator:
    ChatRefusalError."""
    relay = _Relay(target, shown_model if target.is_local else "", wants_usage)
    pieces = relay.stream(body) if body.get("stream") else relay.whole(body)
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece


@dataclass(slots=True)
class _Relay:
    target: ChatTarget
    renamed: str
    wants_usage: bool

    async def whole(self, body: Mapping[str, Any]) -> AsyncGenerator[Piece, None]:
        async with _asked(self.target, body) as response:
            data = bytearray()
            async for piece in response.iter_bytes():
                data += piece
                if len(data) > MAX_ANSWER_BYTES:
                    raise ChatRefusalError(502, "The endpoint's answer is too long.")
        answer = _object(bytes(data))
        if self.renamed:
            answer["model"] = self.renamed
            data = bytearray(json.dumps(answer).encode())
        yield Piece(bytes(data), _deltas_of(answer), answer)

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Piece, None]:
        choices = _Choices()
        asked = {**body, "stream_options": {"include_usage": True}}
        async with (
            _asked_with_usage(self.target, asked, body) as response,
            aclosing(raw_events(response.iter_bytes())) as events,
        ):
            async for event in events:
                data = data_of(event)
                if data.strip() == b"[DONE]":
                    break
                yield self._piece(event, data, choices)
        if not choices.is_complete:
            raise ChatRefusalError(502, "The endpoint's answer broke off before its end.")
        ending = choices.ending()
        yield Piece(b"", ending)
        yield Piece(DONE, answer=choices.answer())

    def _piece(self, event: bytes, data: bytes, choices: _Choices) -> Piece:
        if not data:
            return Piece(event)  # a comment, which keeps the connection alive
        chunk = _object(data)
        if chunk.get("error"):
            raise _refusal_within(chunk, self.target)
        deltas = choices.feed(chunk)
        if not self.wants_usage and chunk.get("choices") == [] and chunk.get("usage"):
            return Piece(b"", deltas)  # it was asked for by us
        if self.renamed:
            event = frame({**chunk, "model": self.renamed})
        return Piece(event, deltas)


def _deltas_of(answer: Answer) -> list[Delta]:
    choices = _Choices()
    for choice in answer["choices"]:
        reply = {**choice, "delta": choice["message"]}
        choices.feed({"choices": [reply], "timings": answer.get("timings")})
    choices.usage = answer.get("usage") if isinstance(answer.get("usage"), dict) else None
    return choices.ending()


def _object(data: bytes) -> dict[str, Any]:
    """A whole answer or a chunk. Raises: ChatRefusalError for what is neither."""
    try:
        value = json.loads(data)
        choices = value.get("choices") or []
        well_formed = all(isinstance(choice, dict) for choice in choices)
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise ChatRefusalError(502, "The endpoint's answer is not readable.") from error
    if not well_formed:
        raise ChatRefusalError(502, "The endpoint's answer is not readable.")
    return dict(value)


# Asking


@asynccontextmanager
async def _asked_with_usage(
    target: ChatTarget, asked: Mapping[str, Any], body: Mapping[str, Any]
) -> AsyncIterator[Any]:
    """Some endpoints refuse to count in streams. Then nothing is counted, unless the program
    itself asked for that."""
    try:
        async with _asked(target, asked) as response:
            yield response
            return
    except _OptionRefusedError as error:
        if body.get("stream_options"):
            raise error.refusal from error
    async with _asked(target, body) as response:
        yield response


class _OptionRefusedError(Exception):
    """The endpoint does not take `stream_options`."""

    def __init__(self, refusal: ChatRefusalError) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@asynccontextmanager
async def _asked(target: ChatTarget, body: Mapping[str, Any]) -> AsyncIterator[Any]:
    """The endpoint's answer, its status being 200. Leaving ends the request. Raises:
    ChatRefusalError, _OptionRefusedError."""
    endpoint = target.endpoint
    rest = {key: value for key, value in body.items() if key not in ("messages", "model")}
    try:
        async with (
            client_of(endpoint) as client,
            client.chat.completions.with_streaming_response.create(
                model=target.model, messages=body["messages"], extra_body=rest
            ) as response,
        ):
            yield response
    except openai.APIStatusError as error:
        refusal = _refusal(error, target)
        if "stream_options" in body and refused_parameter(error, ("stream_options",)):
            raise _OptionRefusedError(refusal) from error
        raise refusal from error
    except (openai.OpenAIError, httpx2.HTTPError, EventTooLargeError) as error:
        if is_timeout(error):
            raise ChatRefusalError(504, "The endpoint did not answer in time.") from error
        reason = mask_secrets(str(error.__cause__ or error), endpoint.api_key)
        raise ChatRefusalError(
            502,
            f"The endpoint could not be asked: {reason}",
            hint="Check the network, OPENAI_BASE_URL and that the endpoint is running.",
        ) from error


def _refusal(error: openai.APIStatusError, target: ChatTarget) -> ChatRefusalError:
    facts = facts_of_body(error.body, error.message)
    headers = {
        name: value for name in _HEADERS if (value := error.response.headers.get(name)) is not None
    }
    return _told(facts, error.status_code, headers, target)


def _refusal_within(chunk: Mapping[str, Any], target: ChatTarget) -> ChatRefusalError:
    facts = facts_of_body(chunk, "The endpoint's answer broke off.")
    return _told(facts, facts.status or 502, {}, target)


def _told(
    facts: Facts, status: int, headers: Mapping[str, str], target: ChatTarget
) -> ChatRefusalError:
    endpoint = target.endpoint
    said = Facts(facts.message, status, facts.code, facts.type, facts.param)
    error: ProviderError = describe(
        said, model=target.model, base_url=endpoint.shown_url, api_key=endpoint.api_key
    )
    is_about_address = status == 404 and "model" not in facts.message.lower()
    if status in _OURS or is_about_address:
        return refusal_of(error)
    if status >= 500:
        status = status if status in (503, 504) else 502
        return ChatRefusalError(status, error.message, code=error.code, headers=headers)
    return ChatRefusalError(
        status,
        mask_secrets(facts.message, endpoint.api_key),
        param=facts.param or None,
        code=facts.code or None,
        headers=headers,
        hint=error.hint,
    )
