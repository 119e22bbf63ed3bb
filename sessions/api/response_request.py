"""From what a program sent to a response that can be queued."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sessions import services
from sessions.api import code_interpreter
from sessions.api.endpoint import Call
from sessions.api.errors import ApiError, choice_without_tools, not_found
from sessions.api.items import CompactionTrigger, ItemReference, item_resource
from sessions.api.lookups import find_conversation, find_response
from sessions.api.model_choice import chosen_model
from sessions.api.response_files import CreateCall, file_ids_of, files_of
from sessions.api.response_place import RESERVED_NAMES, place_of
from sessions.api.response_search import check_file_search
from sessions.api.response_skills import local_skills, skills_of
from sessions.api.responses import (
    CodeInterpreterTool,
    ConversationReference,
    CreateResponse,
    FunctionTool,
    ShellTool,
    Tool,
    echo_of,
)
from sessions.models import ApiResponse, Conversation, Session
from sessions.providers.base import PYTHON, Ability
from sessions.providers.conversation import text_of
from sessions.providers.registry import ModelChoice
from sessions.responses.context import items_before
from sessions.responses.model_items import CALLS, COMPACTION, functions_found
from sessions.responses.namespaces import tools_apart
from sessions.responses.output_items import Fields, environment
from sessions.responses.sealed import SealBrokenError, unseal
from sessions.runtime.wiring import runtime
from sessions.services import NewResponse, NewSession, NewSkill, NewUpload

MAX_KEY_LENGTH = 255
MAX_SHOWN = 100_000
"""Characters of a message that a person who watches is shown."""
_ANSWERED = frozenset({"function_call", "custom_tool_call", "apply_patch_call"})
"""Calls that only the caller can have made."""


@dataclass(slots=True)
class Prepared:
    session: Session | NewSession
    new: NewResponse
    files: list[NewUpload] = field(default_factory=list)
    skills: list[NewSkill] = field(default_factory=list)


async def prepare(call: CreateCall) -> Prepared:
    """Raises: ApiError for the first thing that is wrong; SandboxError."""
    body = call.body
    choice = await chosen_model(body.model)
    _check_abilities(body, choice)
    await check_file_search(call)
    previous = await previous_of(call, body.previous_response_id, body.conversation)
    conversation = await conversation_of(call, body.conversation)
    before = await items_before(previous, conversation)
    items = input_items(body.input, before, call.user.id)
    items = await code_interpreter.with_outputs(call, items)
    place = await place_of(call, previous, items, before)
    files = await files_of(
        call, before, items, session=place.session, has_container=place.has_container
    )
    skills = await skills_of(call, place.session)
    key = idempotency_key(call)
    new = NewResponse(
        provider=choice.provider,
        model=choice.model,
        request={
            **echo_of(
                body,
                [echo_tool(tool, place.shell_container) for tool in body.tools or ()],
                found_tools([*before, *items], body.tools or ()),
            ),
            "code_container": place.code_container,
            "file_ids": file_ids_of(call),
            "local_skills": local_skills(body),
        },
        input=items,
        text=_shown(items),
        previous=previous,
        conversation=conversation,
        api_key=call.key,
        is_background=bool(body.background),
        holder=runtime().sandboxes.lease if _is_held(call) else "",
        is_stored=body.store is not False,
        cache_key=body.prompt_cache_key or "",
        idempotency_key=key,
        idempotency_hash=body_hash(body) if key else "",
    )
    return Prepared(place.session, new, files, skills)


def found_tools(items: list[Fields], given: Sequence[Tool]) -> list[Fields]:
    """Functions that the program's search brought up, but those whose name is another tool's."""
    kinds = {tool.type for tool in given} - {"function", "custom", "namespace"}
    names = {
        one["name"] for one in tools_apart(tool.model_dump() for tool in given) if "name" in one
    }
    taken = RESERVED_NAMES | kinds | names | ({PYTHON} if "code_interpreter" in kinds else set())
    return [tool for tool in functions_found(items) if tool["name"] not in taken]


# The model


def _check_abilities(body: CreateResponse, choice: ModelChoice) -> None:
    """Raises: ApiError for what the model could only ignore."""
    is_choice_made = body.tool_choice not in (None, "auto", "none")
    if is_choice_made and not body.tools:
        raise choice_without_tools()
    takes = runtime().provider(choice.provider, choice.model).takes
    wants: list[tuple[Ability, str, bool]] = [
        ("sampling", "temperature", body.temperature is not None),
        ("sampling", "top_p", body.top_p is not None),
        ("formats", "text.verbosity", bool(body.text and body.text.verbosity)),
        ("formats", "text.format", _is_formatted(body)),
        ("reasoning", "reasoning.effort", _wants_effort(body)),
        ("functions", "tool_choice", is_choice_made),
    ]
    for index, tool in enumerate(body.tools or ()):
        wants.append(("functions", f"tools[{index}]", _is_callers(tool)))
    for index, item in enumerate(body.input if isinstance(body.input, list) else ()):
        field = "output" if hasattr(item, "output") else "content"
        wants.append(("images", f"input[{index}].{field}", _has_image(getattr(item, field, None))))
    for ability, param, is_wanted in wants:
        if is_wanted and ability not in takes:
            message = f"Unsupported parameter: '{param}' is not supported with '{choice.model}'."
            raise ApiError(400, message, param=param, code="unsupported_parameter")


def _has_image(content: Any) -> bool:
    return isinstance(content, list) and any(
        getattr(part, "type", "") == "input_image" for part in content
    )


def _is_formatted(body: CreateResponse) -> bool:
    return bool(body.text and body.text.format and body.text.format.type != "text")


def _wants_effort(body: CreateResponse) -> bool:
    return bool(body.reasoning and body.reasoning.effort not in (None, "none"))


def _is_callers(tool: Tool) -> bool:
    if isinstance(tool, CodeInterpreterTool):
        return False
    return not isinstance(tool, ShellTool) or code_interpreter.is_local(tool)


# What it goes on from


async def previous_of(
    call: Call[Any, Any], given: str | None, conversation: Any = None
) -> ApiResponse | None:
    """Raises: ApiError."""
    if given is None:
        return None
    if conversation is not None:
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


async def conversation_of(
    call: Call[Any, Any], given: str | ConversationReference | None
) -> Conversation | None:
    """Raises: ApiError."""
    if given is None:
        return None
    return await find_conversation(call, given if isinstance(given, str) else given.id)


def input_items(sent: str | list[Any] | None, before: list[Fields], owner_id: int) -> list[Fields]:
    """Of what was sent behind what was there `before`. Raises: ApiError."""
    if sent is None and not before:
        raise ApiError(
            400,
            "Missing required parameter: 'input'.",
            param="input",
            code="missing_required_parameter",
        )
    if isinstance(sent, str):
        message = {"type": "input_text", "text": sent}
        given: list[Any] = [{"type": "message", "role": "user", "content": [message]}]
        items = [{"id": f"msg_{uuid.uuid4().hex}", "status": "completed", **one} for one in given]
    else:
        known = {item["id"]: item for item in before}
        given = _without_trigger(sent or [])
        items = [_item(item, index, known) for index, item in enumerate(given)]
    if not before and not items:
        raise ApiError(400, "The input is empty.", param="input", code="invalid_value")
    _check_seals(items, owner_id)
    _check_pairs(before, items)
    return items


def _without_trigger(sent: list[Any]) -> list[Any]:
    """Raises: ApiError where it is not the last."""
    for index, item in enumerate(sent):
        if isinstance(item, CompactionTrigger) and index < len(sent) - 1:
            message = "A compaction_trigger must be the last item of the input."
            raise ApiError(400, message, param=f"input[{index}]", code="invalid_value")
    return sent[:-1] if sent and isinstance(sent[-1], CompactionTrigger) else sent


def _check_seals(items: list[Fields], owner_id: int) -> None:
    """Raises: ApiError for a compacted conversation that is not the owner's, or broken."""
    for index, item in enumerate(items):
        if item["type"] == COMPACTION:
            try:
                unseal(owner_id, item["encrypted_content"])
            except SealBrokenError as error:
                param = f"input[{index}].encrypted_content"
                raise ApiError(400, error.message, param=param, code=error.code) from error


def _item(item: Any, index: int, known: dict[str, Fields]) -> Fields:
    """Each that is `known` can be named once. Raises: ApiError."""
    if isinstance(item, ItemReference):
        named = known.pop(item.id, None)
        if named is None:
            raise not_found(f"Item with id '{item.id}' not found.", param=f"input[{index}].id")
        return named
    return item_resource(item)


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
            return text_of(item["content"])[:MAX_SHOWN].strip() or "(no text)"
        if item["type"] in CALLS.values():
            return "(results of the program's own tools)"
    return "(no message)"


def echo_tool(tool: Tool, container_id: str | None) -> Fields:
    """Of a container only which: what it was made with may be secret."""
    if isinstance(tool, ShellTool):
        fields: Fields = {"type": "shell", "environment": environment(container_id)}
        if tool.allowed_callers:
            fields["allowed_callers"] = list(tool.allowed_callers)
        return fields
    if isinstance(tool, CodeInterpreterTool):
        return code_interpreter.echo(tool)
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
    return hashlib.sha256(json.dumps(body.model_dump(mode="json")).encode()).hexdigest()


async def asked_before(call: CreateCall) -> ApiResponse | None:
    """The response that the same key made. Raises: ApiError when it was for something else."""
    key = idempotency_key(call)
    if not key:
        return None
    rows = ApiResponse.objects.filter(owner=call.user, idempotency_key=key, deleted_at=None)
    found = await rows.afirst()
    if found is not None and found.idempotency_hash != body_hash(call.body):
        raise ApiError(
            400,
            "The Idempotency-Key was used with another body.",
            param="Idempotency-Key",
            code="idempotency_key_reused",
            headers={"x-should-retry": "false"},
        )
    return found


def _is_held(call: CreateCall) -> bool:
    """Whether the response ends with the program's connection: not in the background, and not with
    a key, by which the program may ask again."""
    return not call.body.background and not idempotency_key(call)


async def queue(call: CreateCall) -> ApiResponse:
    """The response that is to answer the call, which may be there already. Raises: ApiError;
    BerthError."""
    found = await asked_before(call)
    if found is not None:
        return found
    prepared = await prepare(call)
    making = asyncio.create_task(
        services.response_create(
            owner=call.user,
            session=prepared.session,
            new=prepared.new,
            files=prepared.files,
            skills=prepared.skills,
        )
    )
    try:
        return await asyncio.shield(making)
    except services.KeyTakenError:
        found = await asked_before(call)
        if found is None:
            raise
        return found
    except asyncio.CancelledError:
        made = await making
        if made.holder:
            await services.response_stop(response=made)
        raise
