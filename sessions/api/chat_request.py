"""From what a program sent to a call that is worked on."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from sessions import services
from sessions.api.chat import CreateChatCompletion
from sessions.api.chat_abilities import check_abilities, check_pairs, unsupported
from sessions.api.endpoint import Call
from sessions.api.errors import ApiError, choice_without_tools
from sessions.api.model_choice import chosen_model
from sessions.api.schema import NoQuery
from sessions.errors import ModelRefusedError
from sessions.models import ChatCompletion
from sessions.providers.chat_answer import Piece
from sessions.providers.chat_items import model_request
from sessions.providers.chat_relay import ChatTarget, relayed
from sessions.providers.chat_render import rendered
from sessions.providers.registry import ModelChoice
from sessions.runtime.chat_turn import ChatRun
from sessions.runtime.leases import lease_name
from sessions.runtime.wiring import runtime
from sessions.services import NewChat
from sessions.services.carried import carried

ChatCall = Call[CreateChatCompletion, NoQuery]
_KEPT_HERE = frozenset({"store", "metadata", "model"})
_FOR_OPENAI = frozenset(
    {
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "user",
        "verbosity",
        "reasoning_effort",
        "modalities",
        "n",
    }
)
"""What the embedded model is not told; only values that ask for nothing got so far."""


@dataclass(frozen=True, slots=True)
class StartedChat:
    chat: ChatCompletion
    run: ChatRun


async def start(call: ChatCall) -> StartedChat:
    """Raises: ApiError for the first thing that is wrong; ProviderError."""
    body = call.body
    _check(body)
    choice = await chosen_model(body.model)
    check_abilities(body, choice.provider, choice.model)
    sent = body.model_dump(mode="json", by_alias=True, exclude_unset=True)
    lease = lease_name()
    new = NewChat(
        provider=choice.provider,
        model=choice.model,
        request=sent,
        messages=sent["messages"],
        lease=lease,
        api_key=call.key,
        metadata=body.metadata or {},
        is_stored=bool(body.store),
    )
    source = _source(choice, sent)
    chat = await carried(services.chat_begin(owner=call.user, new=new))
    return StartedChat(chat, ChatRun(chat, lease, source, sent["messages"]))


def _check(body: CreateChatCompletion) -> None:
    """Raises: ApiError for what no model could honour."""
    check_pairs(body)
    if body.stream_options is not None and not body.stream:
        raise ApiError(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
            code="invalid_value",
        )
    if body.tool_choice not in (None, "none", "auto") and not body.tools:
        raise choice_without_tools()
    if body.top_logprobs and not body.logprobs:
        message = "'top_logprobs' needs 'logprobs' to be true."
        raise ApiError(400, message, param="top_logprobs", code="invalid_value")
    if body.metadata and not body.store:
        message = "The 'metadata' parameter is only allowed when 'store' is enabled."
        raise ApiError(400, message, param="metadata", code="invalid_value")
    if body.stream and body.store and (body.n or 1) > 1:
        raise unsupported("n", "stored streams")


async def _source(choice: ModelChoice, sent: dict[str, Any]) -> AsyncGenerator[Piece, None]:
    """The answer, once the model can be asked. Raises, from the iterator: ChatRefusalError,
    ProviderError."""
    process = runtime()
    options = sent.get("stream_options") or {}
    wants_usage = bool(options.get("include_usage"))
    target = await process.models.chat_target(choice.provider, choice.model)
    if target is not None:
        pieces = relayed(
            target, _passed_on(sent, target), shown_model=choice.model, wants_usage=wants_usage
        )
    else:
        provider = process.provider(choice.provider, choice.model)
        if not provider.takes >= {"functions"}:
            raise ModelRefusedError(f"'{choice.model}' cannot be asked for chat completions.")
        pieces = rendered(
            provider,
            model_request(sent),
            is_stream=bool(sent.get("stream")),
            wants_usage=wants_usage,
        )
    try:
        async for piece in pieces:
            yield piece
    finally:
        await pieces.aclose()


def _passed_on(sent: dict[str, Any], target: ChatTarget) -> dict[str, Any]:
    """The body as the endpoint gets it."""
    left_out = _KEPT_HERE | (_FOR_OPENAI if target.is_local else frozenset())
    body = {
        name: value for name, value in sent.items() if value is not None and name not in left_out
    }
    body["messages"] = [_plain(message) for message in sent["messages"]]
    if target.max_tokens is not None:
        asked = [body.pop(name, None) for name in ("max_completion_tokens", "max_tokens")]
        given = [number for number in asked if number is not None]
        body["max_tokens"] = min([*given, target.max_tokens])
    return body


_OF_CLIENTS = frozenset({"annotations", "parsed"})
"""What clients send back of an answer although no endpoint takes it."""


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in message.items()
        if name not in _OF_CLIENTS and (value is not None or name == "content")
    }
    if "tool_calls" in kept:
        kept["tool_calls"] = [_plain_call(call) for call in kept["tool_calls"]]
    if not kept.get("tool_calls"):
        kept.pop("tool_calls", None)
    return kept


def _plain_call(call: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in call.items() if name != "index"}
    if "function" in kept:
        function = kept["function"]
        kept["function"] = {name: function[name] for name in ("name", "arguments")}
    return kept
