"""The session that a response becomes a turn of, and the container that its commands run in."""

import uuid

from sessions import selectors
from sessions.api.containers import allowed_image, limits_of, setup_of
from sessions.api.errors import ApiError
from sessions.api.lookups import find_container
from sessions.api.response_files import CreateCall
from sessions.api.responses import (
    AutoContainer,
    ContainerReference,
    CustomTool,
    FunctionTool,
    ShellTool,
)
from sessions.models import ApiResponse, Session
from sessions.responses.ids import session_span
from sessions.responses.model_items import CALLS
from sessions.responses.output_items import Fields
from sessions.responses.resource import container_of
from sessions.runtime.wiring import runtime
from sessions.sandbox.limits import Limits
from sessions.sandbox.setup import Setup
from sessions.services import NewSession

NO_SETUP = Setup()
RESERVED_NAMES = frozenset({"shell", "run_file"})
"""Names of tools of ours."""


async def place_of(
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
    rows = Session.objects.select_related("owner").filter(owner_id=previous.owner_id)
    return await rows.filter(id=previous.session_id, deletion_requested_at=None).afirst()


async def _without_container(
    call: CreateCall, previous: ApiResponse | None, items: list[Fields]
) -> Session | NewSession:
    """A session is a conversation that a person can follow. Programs that keep theirs themselves
    send it whole each time: it is known by an item of ours, or by the key that they gave it. One in
    which something is under way is left to that, for nothing here depends on its order."""
    session = await _of(previous)
    if session is not None and previous is not None and not previous.has_ended:
        return session  # after what it goes on from
    session = session or await _of_item(call, items) or await _of_key(call)
    if session is None or await selectors.has_open_turns(session=session):
        return _new_session(runtime().config.default_image, runtime().limits_default)
    return session


async def _of_item(call: CreateCall, items: list[Fields]) -> Session | None:
    said = [item for item in items if item["type"] in CALLS or item.get("role") == "assistant"]
    span = session_span(str(said[-1]["id"])) if said else None
    if span is None:
        return None
    first, last = span
    rows = selectors.container_rows(owner=call.user).select_related("owner")
    return await rows.filter(id__range=(first, last)).afirst()


async def _of_key(call: CreateCall) -> Session | None:
    key = call.body.prompt_cache_key
    if not key:
        return None
    rows = ApiResponse.objects.filter(owner=call.user, cache_key=key, session__isnull=False)
    return await _of(await rows.order_by("-created_at").afirst())


def _new_session(image: str, limits: Limits, setup: Setup = NO_SETUP) -> NewSession:
    return NewSession(uuid.uuid4(), image, limits, runtime().config.expires_after_s, setup)


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
        image = await allowed_image(options.image)
        return _new_session(image, limits_of(options), setup_of(options))
    except ApiError as error:
        error.param = f"{param}.{error.param}"
        raise
