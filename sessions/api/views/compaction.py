"""`/v1/responses/compact` and `/v1/responses/input_tokens`: what a conversation takes, and less of
it."""

import time
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from django.http import HttpResponseBase, JsonResponse
from pydantic import Field

from sessions import services
from sessions.agent.compaction import compact
from sessions.api.endpoint import Call, operation
from sessions.api.errors import ApiError
from sessions.api.items import Item
from sessions.api.model_choice import chosen_model
from sessions.api.response_request import (
    conversation_of,
    echo_tool,
    found_tools,
    input_items,
    previous_of,
)
from sessions.api.response_skills import local_skills
from sessions.api.responses import (
    CodeInterpreterTool,
    ConversationReference,
    CreateResponse,
    ReasoningOptions,
    ShellTool,
    TextOptions,
    Tool,
    ToolChoice,
    echo_of,
)
from sessions.api.schema import NoQuery, RequestPart, Resource
from sessions.errors import ContextOverflowError
from sessions.models import ApiResponse
from sessions.providers.base import UserMessage
from sessions.responses.context import items_before
from sessions.responses.ids import RESPONSE, format_id, item_id
from sessions.responses.model_items import model_items
from sessions.responses.output_items import Fields, compaction
from sessions.responses.resource import container_of
from sessions.responses.sealed import seal, unseal
from sessions.responses.translate import usage_of
from sessions.runtime.counting import input_tokens
from sessions.runtime.wiring import runtime

MAX_INSTRUCTIONS_CHARS = 100_000


class CompactResponse(RequestPart):
    model: str | None = Field(max_length=200)
    input: str | list[Item] | None = None
    previous_response_id: str | None = None
    instructions: str | None = Field(None, max_length=MAX_INSTRUCTIONS_CHARS)
    prompt_cache_key: str | None = Field(None, max_length=1024)
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    service_tier: Literal["auto", "default"] | None = None


class CompactedResponse(Resource):
    id: str
    object: Literal["response.compaction"] = "response.compaction"
    created_at: int
    output: list[dict[str, Any]]
    usage: dict[str, Any]


class CountTokens(RequestPart):
    model: str | None = Field(None, max_length=200)
    input: str | list[Item] | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationReference | None = None
    instructions: str | None = None
    tools: list[Tool] | None = Field(None, max_length=128)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None


class TokenCount(Resource):
    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


@operation(summary="Compact a conversation", body=CompactResponse, returns=CompactedResponse)
async def response_compact(call: Call[CompactResponse, NoQuery]) -> HttpResponseBase:
    """The next window as it is: what users said, and one item with a summary of all. The model of the
    request writes that; nothing is stored here."""
    body, owner_id = call.body, call.user.id
    await services.tokens_check(owner_id=owner_id, key=call.key)
    choice = await chosen_model(body.model)
    provider = runtime().provider(choice.provider, choice.model)
    previous = await previous_of(call, body.previous_response_id)
    before = await items_before(previous, None)
    sent = input_items(body.input, before, owner_id)
    items = model_items([*before, *sent], has_container=False, unseal=partial(unseal, owner_id))
    try:
        made = await compact(provider, items, told=body.instructions or "", is_all=True)
    except ContextOverflowError as error:
        raise ApiError(
            400, error.message, param="input", code="context_length_exceeded"
        ) from error
    used = made.input_tokens + made.output_tokens
    await services.tokens_charge(owner_id=owner_id, key_id=call.key.pk, tokens=used)
    said = [
        _message(item)
        for item in made.items
        if isinstance(item, UserMessage) and item.role == "user"
    ]
    identifier = item_id("compaction", uuid.uuid4())
    resource = CompactedResponse(
        id=format_id(RESPONSE, uuid.uuid4()),
        created_at=int(time.time()),
        output=[*said, compaction(identifier, seal(owner_id, made.items))],
        usage=usage_of(made.input_tokens, made.output_tokens),
    )
    return JsonResponse(resource.to_json())


def _message(item: UserMessage) -> Fields:
    return {
        "id": item_id("message", uuid.uuid4()),
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": item.parts or [{"type": "input_text", "text": item.text}],
    }


@operation(summary="Count the tokens of a request", body=CountTokens, returns=TokenCount)
async def tokens_count(call: Call[CountTokens, NoQuery]) -> TokenCount:
    """As the endpoint of the model counts, else an estimate."""
    body, owner = call.body, call.user
    choice = await chosen_model(body.model)
    previous = await previous_of(call, body.previous_response_id, body.conversation)
    conversation = await conversation_of(call, body.conversation)
    before = await items_before(previous, conversation)
    items = input_items(body.input, before, owner.id)
    asked = CreateResponse.model_construct(
        **{name: getattr(body, name) for name in body.model_fields_set}
    )
    tools = [echo_tool(tool, _container(tool)) for tool in body.tools or ()]
    response = ApiResponse(
        owner=owner,
        provider=choice.provider,
        model=choice.model,
        request=echo_of(asked, tools, found_tools([*before, *items], body.tools or ()))
        | {
            "code_container": _code_container(body.tools or ()),
            "local_skills": local_skills(asked),
        },
        input=items,
    )
    process = runtime()
    provider = process.provider(choice.provider, choice.model)
    counted = await input_tokens(response, before, provider, process.limits_default)
    return TokenCount(input_tokens=counted)


def _code_container(tools: Sequence[Tool]) -> str | None:
    is_there = any(isinstance(tool, CodeInterpreterTool) for tool in tools)
    return container_of(uuid.UUID(int=0)) if is_there else None


def _container(tool: Tool) -> str | None:
    """Any name: which it is does not matter to the model."""
    is_local = isinstance(tool, ShellTool) and getattr(tool.environment, "type", "") == "local"
    return None if is_local else container_of(uuid.UUID(int=0))
