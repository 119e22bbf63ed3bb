"""From what a program sent to a response that can be queued."""

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Any, cast

from sessions import selectors, services
from sessions.api.containers import allowed_image, limits_of
from sessions.api.errors import ApiError, not_found
from sessions.api.items import ItemReference, item_resource
from sessions.api.lookups import find_container, find_conversation, find_response
from sessions.api.response_files import CreateCall, files_of
from sessions.api.responses import (
    AutoContainer,
    ContainerReference,
    CreateResponse,
    CustomTool,
    FunctionTool,
    ShellTool,
    Tool,
    echo_of,
)
from sessions.models import ApiResponse, Conversation, ConversationItem, Session
from sessions.providers.base import Ability
from sessions.providers.registry import LOCAL, SCRIPTED, ModelChoice
from sessions.responses.context import items_up_to
from sessions.responses.ids import session_span
from sessions.responses.model_items import CALLS, UNDERSTOOD, functions_found, text_of
from sessions.responses.output_items import environment
from sessions.responses.resource import container_of
from sessions.runtime.wiring import runtime
from sessions.services import NewResponse, NewSession, NewUpload

Fields = dict[str, Any]
RESERVED_NAMES = frozenset({"shell", "run_file"})
MAX_KEY_LENGTH = 255
_ANSWERED = frozenset({"function_call", "custom_tool_call"})
"""Calls that only the caller can have made."""


@dataclass(slots=True)
class Prepared:
    session: Session | NewSession
    new: NewResponse
    files: list[NewUpload] = field(default_factory=list)


async def prepare(call: CreateCall) -> Prepared:
    """Raises: ApiError for the first thing that is wrong; SandboxError."""
    body = call.body
    choice = chosen_model(body.model)
    _check_abilities(body, choice)
    previous = await _previous(call)
    conversation = await _conversation(call)
    before = await _before(previous, conversation)
    items = _input(body, before)
    session, container_id = await _session(call, previous, items)
    files = await files_of(call, items, has_container=container_id is not None)
    new = NewResponse(
        provider=choice.provider,
        model=choice.model,
        request=echo_of(
            body,
            [_echo(tool, container_id) for tool in body.tools or ()],
            functions_found([*before, *items]),
        ),
        input=items,
        text=_shown(items),
        previous=previous,
        conversation=conversation,
        is_background=bool(body.background),
        holder="" if body.background else runtime().sandboxes.lease,
        is_stored=body.store is not False,
        cache_key=body.prompt_cache_key or "",
        idempotency_key=idempotency_key(call),
        idempotency_hash=body_hash(body),
    )
    return Prepared(session, new, files)


# The model


def chosen_model(name: str | None) -> ModelChoice:
    """A name that is not offered goes to the endpoint as it is, which may well know it; a model
    that runs here answers for every other. Raises: ApiError."""
    process = runtime()
    default = process.default_choice()
    for choice in process.choices():
        if name in (None, choice.model):
            return choice
    if default.provider in (LOCAL, SCRIPTED):
        return default
    return ModelChoice(default.provider, cast("str", name), cast("str", name))


def _check_abilities(body: CreateResponse, choice: ModelChoice) -> None:
    """Raises: ApiError for what the model could only ignore."""
    takes = runtime().provider(choice.provider, choice.model).takes
    wants: list[tuple[Ability, str, bool]] = [
        ("sampling", "temperature", body.temperature is not None),
        ("sampling", "top_p", body.top_p is not None),
        ("formats", "text.verbosity", bool(body.text and body.text.verbosity)),
        ("formats", "text.format", _is_formatted(body)),
        ("reasoning", "reasoning.effort", _wants_effort(body)),
        ("functions", "tool_choice", body.tool_choice not in (None, "auto", "none")),
    ]
    for index, tool in enumerate(body.tools or ()):
        wants.append(("functions", f"tools[{index}]", _is_callers(tool)))
    for ability, param, is_wanted in wants:
        if is_wanted and ability not in takes:
            message = f"Unsupported parameter: '{param}' is not supported with '{choice.model}'."
            raise ApiError(400, message, param=param, code="unsupported_parameter")


def _is_formatted(body: CreateResponse) -> bool:
    return bool(body.text and body.text.format and body.text.format.type != "text")


def _wants_effort(body: CreateResponse) -> bool:
    return bool(body.reasoning and body.reasoning.effort not in (None, "none"))


def _is_callers(tool: Tool) -> bool:
    if not isinstance(tool, ShellTool):
        return True
    return tool.environment is not None and tool.environment.type == "local"


# What it goes on from


async def _previous(call: CreateCall) -> ApiResponse | None:
    given = call.body.previous_response_id
    if given is None:
        return None
    if call.body.conversation is not None:
        message = "'previous_response_id' and 'conversation' cannot be used together."
        raise ApiError(400, message, param="previous_response_id", code="invalid_value")
    try:
        found = await find_response(call, given)
    except ApiError:
        found = None
    if found is None or not found.is_stored:
        raise ApiError(
            400,
            f"Previous response with id '{given}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    return found


async def _conversation(call: CreateCall) -> Conversation | None:
    given = call.body.conversation
    if given is None:
        return None
    return await find_conversation(call, given if isinstance(given, str) else given.id)


async def _before(previous: ApiResponse | None, conversation: Conversation | None) -> list[Fields]:
    if conversation is not None:
        rows = ConversationItem.objects.filter(conversation=conversation).order_by("position")
        return [row.body async for row in rows]
    return [] if previous is None else await items_up_to(previous)


def _input(body: CreateResponse, before: list[Fields]) -> list[Fields]:
    """Raises: ApiError."""
    if body.input is None and not before:
        raise ApiError(
            400,
            "Missing required parameter: 'input'.",
            param="input",
            code="missing_required_parameter",
        )
    if isinstance(body.input, str):
        message = {"type": "input_text", "text": body.input}
        given: list[Any] = [{"type": "message", "role": "user", "content": [message]}]
        items = [{"id": f"msg_{uuid.uuid4().hex}", "status": "completed", **one} for one in given]
    else:
        items = [_item(item, index, before) for index, item in enumerate(body.input or ())]
    _check_pairs(before, items)
    return items


def _item(item: Any, index: int, before: list[Fields]) -> Fields:
    if isinstance(item, ItemReference):
        for known in before:
            if known["id"] == item.id:
                return known
        raise not_found(f"Item with id '{item.id}' not found.", param=f"input[{index}].id")
    fields = item_resource(item)
    if fields["type"] not in UNDERSTOOD:
        message = f"Items of type '{fields['type']}' are not supported here."
        param = f"input[{index}].type"
        raise ApiError(400, message, param=param, code="unsupported_value")
    return fields


def _check_pairs(before: list[Fields], items: list[Fields]) -> None:
    """No answer without its call, no function call without its answer. Raises: ApiError."""
    every = [*before, *items]
    calls = {one.get("call_id") for one in every if one["type"] in CALLS}
    answers = {one.get("call_id") for one in every if one["type"] in CALLS.values()}
    for one in items:
        if one["type"] in CALLS.values() and one.get("call_id") not in calls:
            what = one["type"].removesuffix("_output").replace("_", " ")
            message = f"No tool call found for {what} output with call_id {one.get('call_id')}."
            raise ApiError(400, message, param="input")
    for one in every:
        if one["type"] in _ANSWERED and one["call_id"] not in answers:
            what = one["type"].removesuffix("_call").replace("_", " ")
            message = f"No tool output found for {what} call {one['call_id']}."
            raise ApiError(400, message, param="input")


def _shown(items: list[Fields]) -> str:
    """What a person who watches reads as the message."""
    for item in reversed(items):
        if item["type"] == "message" and item["role"] == "user":
            return text_of(item["content"]) or "(no text)"
        if item["type"] in CALLS.values():
            return "(results of the program's own tools)"
    return "(no message)"


# Where it runs


async def _session(
    call: CreateCall, previous: ApiResponse | None, items: list[Fields]
) -> tuple[Session | NewSession, str | None]:
    """With the name of the container, where commands run in one."""
    shells = [
        (index, tool)
        for index, tool in enumerate(call.body.tools or ())
        if isinstance(tool, ShellTool)
    ]
    if len(shells) > 1:
        index = shells[1][0]
        message = "Only one shell tool can be given."
        raise ApiError(400, message, param=f"tools[{index}]", code="invalid_value")
    for index, tool in enumerate(call.body.tools or ()):
        if isinstance(tool, FunctionTool | CustomTool) and tool.name in RESERVED_NAMES:
            message = f"Functions cannot be called '{tool.name}' here."
            raise ApiError(400, message, param=f"tools[{index}].name", code="invalid_value")
    if not shells:
        return await _without_container(call, previous, items), None
    index, tool = shells[0]
    where = tool.environment
    if isinstance(where, ContainerReference):
        session = await find_container(call, where.container_id)
        return session, where.container_id
    if where is None or isinstance(where, AutoContainer):
        param = f"tools[{index}].environment"
        there = await _of(previous) or await _named_in(call, items)
        found = there or await _new_container(call, where, param)
        return found, container_of(found.id)
    return await _without_container(call, previous, items), None


async def _of(previous: ApiResponse | None) -> Session | None:
    if previous is None or previous.session_id is None:
        return None
    rows = Session.objects.select_related("owner")
    return await rows.filter(id=previous.session_id, deletion_requested_at=None).afirst()


async def _without_container(
    call: CreateCall, previous: ApiResponse | None, items: list[Fields]
) -> Session | NewSession:
    """A session is a conversation that a person can follow. Programs that keep theirs themselves
    send it whole each time: it is known by an item of ours, or by the key that they gave it. One in
    which something is under way is left to that, for nothing here depends on its order."""
    session = await _of(previous) or await _of_item(call, items) or await _of_key(call)
    if session is None or await selectors.has_open_turns(session=session):
        return _new_session(runtime().config.default_image, runtime().limits_default)
    return session


async def _of_item(call: CreateCall, items: list[Fields]) -> Session | None:
    said = [item for item in items if item["type"] in CALLS or item.get("role") == "assistant"]
    span = session_span(str(said[-1]["id"])) if said else None
    if span is None:
        return None
    first, last = span
    rows = Session.objects.select_related("owner").filter(id__range=(first, last))
    return await rows.filter(owner=call.user, deletion_requested_at=None).afirst()


async def _of_key(call: CreateCall) -> Session | None:
    key = call.body.prompt_cache_key
    if not key:
        return None
    rows = ApiResponse.objects.filter(owner=call.user, cache_key=key, session__isnull=False)
    return await _of(await rows.order_by("-created_at").afirst())


def _new_session(image: str, limits: Any) -> NewSession:
    return NewSession(uuid.uuid4(), image, limits, runtime().config.expires_after_s)


async def _named_in(call: CreateCall, items: list[Fields]) -> Session | None:
    """Of the last command that was sent along: a program that keeps the conversation itself goes on
    where that ran, as long as it is there."""
    for item in reversed(items):
        where = item.get("environment") or {}
        if item["type"] == "shell_call" and "container_id" in where:
            try:
                return await find_container(call, str(where["container_id"]))
            except ApiError:
                return None
    return None


async def _new_container(
    call: CreateCall, options: AutoContainer | None, param: str
) -> Session | NewSession:
    if options is None:
        return _new_session(runtime().config.default_image, runtime().limits_default)
    try:
        return _new_session(await allowed_image(options.image), limits_of(options))
    except ApiError as error:
        error.param = f"{param}.{error.param}"
        raise


def _echo(tool: Tool, container_id: str | None) -> Fields:
    """Of a container only which: what it was made with may be secret."""
    if isinstance(tool, ShellTool):
        fields: Fields = {"type": "shell", "environment": environment(container_id)}
        if tool.allowed_callers:
            fields["allowed_callers"] = list(tool.allowed_callers)
        return fields
    if isinstance(tool, FunctionTool):
        return tool.model_dump()
    return tool.model_dump(exclude_none=True)


# Asked twice


def idempotency_key(call: CreateCall) -> str:
    """Raises: ApiError."""
    key = call.http.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY_LENGTH or not key.isprintable():
        message = f"Idempotency-Key takes up to {MAX_KEY_LENGTH} printable characters."
        raise ApiError(400, message, param="Idempotency-Key")
    return key


def body_hash(body: CreateResponse) -> str:
    return hashlib.sha256(body.model_dump_json().encode()).hexdigest()


async def asked_before(call: CreateCall) -> ApiResponse | None:
    """The response that the same key made. Raises: ApiError when it was for something else."""
    key = idempotency_key(call)
    if not key:
        return None
    found = await ApiResponse.objects.filter(owner=call.user, idempotency_key=key).afirst()
    if found is not None and found.idempotency_hash != body_hash(call.body):
        raise ApiError(
            400,
            "The Idempotency-Key was used with another body.",
            param="Idempotency-Key",
            code="idempotency_key_reused",
            headers={"x-should-retry": "false"},
        )
    return found


async def queue(call: CreateCall) -> tuple[ApiResponse, bool]:
    """The response that is to answer the call, and whether it is new. Raises: ApiError;
    BerthError."""
    found = await asked_before(call)
    if found is not None:
        return found, False
    prepared = await prepare(call)
    try:
        made = await services.response_create(
            owner=call.user, session=prepared.session, new=prepared.new, files=prepared.files
        )
    except services.KeyTakenError:
        found = await asked_before(call)
        if found is None:
            raise
        return found, False
    return made, True
