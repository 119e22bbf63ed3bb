"""The session that a response becomes a turn of, and the container that its commands run in."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sessions import selectors
from sessions.api.code_interpreter import Wanted, code_tool, is_local, wanted_container
from sessions.api.containers import (
    ContainerOptions,
    allowed_image,
    check_as_made,
    limits_of,
    setup_of,
)
from sessions.api.errors import ApiError
from sessions.api.lookups import find_container
from sessions.api.response_files import CreateCall
from sessions.api.responses import CustomTool, FunctionTool, Namespace, ShellTool
from sessions.models import ApiResponse, Session
from sessions.providers.patches import APPLY_PATCH
from sessions.responses.ids import session_span
from sessions.responses.included import CODE_CALL
from sessions.responses.model_items import is_answer
from sessions.responses.namespaces import name_within
from sessions.responses.output_items import Fields
from sessions.responses.resource import container_of
from sessions.runtime.wiring import runtime
from sessions.sandbox.limits import Limits
from sessions.sandbox.setup import Setup
from sessions.services import NewSession

NO_SETUP = Setup()
RESERVED_NAMES = frozenset({"shell", "run_file"})
"""Names of tools of ours."""
MAX_NAME_LENGTH = 64
"""Of a function, at endpoints of either kind."""


@dataclass(frozen=True, slots=True)
class Place:
    """The session, and names of its container where commands or code run in it."""

    session: Session | NewSession
    shell_container: str | None = None
    code_container: str | None = None

    @property
    def has_container(self) -> bool:
        return bool(self.shell_container or self.code_container)


async def place_of(
    call: CreateCall,
    previous: ApiResponse | None,
    items: list[Fields],
    before: list[Fields],
) -> Place:
    """`before` is what was there before `items`. Raises: ApiError; SandboxError when the engine
    cannot tell."""
    shells = [
        (index, tool)
        for index, tool in enumerate(call.body.tools or ())
        if isinstance(tool, ShellTool)
    ]
    if len(shells) > 1:
        index = shells[1][0]
        message = "Only one shell tool can be given."
        raise ApiError(400, message, param=f"tools[{index}]", code="invalid_value")
    check_names(call)
    shell, code = shells[0] if shells else None, code_tool(call)
    is_ours = shell is not None and not is_local(shell[1])
    if code is None and not is_ours:
        return Place(await _without_container(call, previous, items))
    param, wanted = wanted_container(shell, code)
    session = await _with_container(call, previous, [*before, *items], param, wanted)
    name = container_of(session.id)
    return Place(session, name if is_ours else None, name if code is not None else None)


async def _with_container(
    call: CreateCall,
    previous: ApiResponse | None,
    items: list[Fields],
    param: str,
    wanted: Wanted,
) -> Session | NewSession:
    if isinstance(wanted, str):
        return await find_container(call, wanted)
    there = await _of(previous) or await _named_in(call, items)
    if there is None:
        return await _new_container(call, wanted, param)
    if wanted is not None:
        with _of_parameter(param):
            check_as_made(wanted, there)
    return there


@contextmanager
def _of_parameter(param: str) -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        error.param = f"{param}.{error.param}"
        raise


def check_names(call: CreateCall) -> None:
    """Raises: ApiError for a name of ours, of two tools, or that is too long."""
    kinds: list[str] = [tool.type for tool in call.body.tools or ()]
    taken = RESERVED_NAMES | {kind for kind in kinds if kind == APPLY_PATCH}
    for index, tool in enumerate(call.body.tools or ()):
        if isinstance(tool, FunctionTool | CustomTool) and tool.name in taken:
            message = f"Functions cannot be called '{tool.name}' here."
            raise ApiError(400, message, param=f"tools[{index}].name", code="invalid_value")
        if isinstance(tool, Namespace):
            _check_names_within(tool, index)
    if kinds.count(APPLY_PATCH) > 1:
        raise ApiError(400, "Only one apply_patch tool can be given.", param="tools")


def _check_names_within(space: Namespace, index: int) -> None:
    """Raises: ApiError."""
    for number, one in enumerate(space.tools):
        if len(name_within(space.name, one.name)) > MAX_NAME_LENGTH:
            message = f"Namespace and name together take up to {MAX_NAME_LENGTH} characters."
            param = f"tools[{index}].tools[{number}].name"
            raise ApiError(400, message, param=param, code="string_above_max_length")


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
    said = [item for item in items if is_answer(item)]
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
        where = item if item["type"] == CODE_CALL else item.get("environment") or {}
        if item["type"] in ("shell_call", CODE_CALL) and "container_id" in where:
            try:
                return await find_container(call, str(where["container_id"]))
            except ApiError:
                return None
    return None


async def _new_container(
    call: CreateCall, options: ContainerOptions | None, param: str
) -> Session | NewSession:
    if options is None:
        return _new_session(runtime().config.default_image, runtime().limits_default)
    with _of_parameter(param):
        image = await allowed_image(options.image)
        return _new_session(image, limits_of(options), setup_of(options))
