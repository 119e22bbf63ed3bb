"""The code interpreter of a request: which container it asks for, and what earlier code printed."""

import uuid
from collections.abc import Set as AbstractSet
from typing import Any

from sessions.api.errors import ApiError
from sessions.api.response_files import CreateCall
from sessions.api.responses import (
    AutoContainer,
    CodeContainer,
    CodeInterpreterTool,
    ContainerReference,
    CustomTool,
    FunctionTool,
    ShellTool,
)
from sessions.models import ApiResponse
from sessions.providers.base import PYTHON
from sessions.responses.ids import session_span
from sessions.responses.included import CODE_CALL
from sessions.responses.output_items import Fields

Wanted = str | AutoContainer | CodeContainer | None
"""The id of a container, or what one is made with."""


def code_tool(call: CreateCall) -> tuple[int, CodeInterpreterTool] | None:
    """Raises: ApiError for a second one, and for functions of its name."""
    found = None
    for index, tool in enumerate(call.body.tools or ()):
        if isinstance(tool, CodeInterpreterTool):
            if found is not None:
                message = "Only one code interpreter can be given."
                raise ApiError(400, message, param=f"tools[{index}]", code="invalid_value")
            found = index, tool
    for index, tool in enumerate(call.body.tools or ()):
        name = tool.name if isinstance(tool, FunctionTool | CustomTool) else ""
        if found is not None and name == PYTHON:
            message = f"With a code interpreter functions cannot be called '{PYTHON}'."
            raise ApiError(400, message, param=f"tools[{index}].name", code="invalid_value")
    return found


def wanted_container(
    shell: tuple[int, ShellTool] | None, code: tuple[int, CodeInterpreterTool] | None
) -> tuple[str, Wanted]:
    """Of the two tools, which work in the same container: the parameter, and what it asks for.
    Raises: ApiError where they ask for different ones."""
    asked: list[tuple[str, Wanted]] = []
    if shell is not None and not is_local(shell[1]):
        where = shell[1].environment
        named = where.container_id if isinstance(where, ContainerReference) else where
        assert named is None or isinstance(named, str | AutoContainer)
        asked.append((f"tools[{shell[0]}].environment", named))
    if code is not None:
        asked.append((f"tools[{code[0]}].container", code[1].container))
    if len({one for _, one in asked if isinstance(one, str)}) > 1:
        message = "The shell and the code interpreter work in the same container; name one."
        raise ApiError(400, message, param=asked[-1][0], code="invalid_value")
    for param, one in asked:
        if isinstance(one, str):
            _check_no_options(asked)
            return param, one
    options = [(param, one) for param, one in asked if _options(one)]
    if len(options) > 1 and _options(options[0][1]) != _options(options[1][1]):
        message = "The shell and the code interpreter share a container; its options differ."
        raise ApiError(400, message, param=options[-1][0], code="invalid_value")
    return (options or asked)[0]


def _check_no_options(asked: list[tuple[str, Wanted]]) -> None:
    """Raises: ApiError for those of a container that the other tool names."""
    for param, one in asked:
        if _options(one):
            message = "The other tool names the container that both work in: it has its options."
            raise ApiError(400, message, param=param, code="invalid_value")


def _options(wanted: Wanted) -> Fields:
    if wanted is None or isinstance(wanted, str):
        return {}
    return wanted.model_dump(exclude_none=True, exclude={"type", "file_ids", "skills"})


def is_local(tool: ShellTool) -> bool:
    """Whether the caller runs the commands."""
    return tool.environment is not None and tool.environment.type == "local"


def echo(tool: CodeInterpreterTool) -> Fields:
    """As it came, also where the container was made for it: its calls say which one that is."""
    return tool.model_dump(exclude_none=True)


async def with_outputs(call: CreateCall, items: list[Fields]) -> list[Fields]:
    """What code of ours printed, where a program that did not ask to see it sends its call back."""
    hidden = {str(item["id"]) for item in items if _hides_outputs(item)}
    known: dict[str, list[Any]] = {}
    for span in {span for item_id in hidden if (span := session_span(item_id)) is not None}:
        known |= await _outputs(call, span, hidden)
    return [
        {**item, "outputs": known.get(str(item["id"]))} if _hides_outputs(item) else item
        for item in items
    ]


def _hides_outputs(item: Fields) -> bool:
    return item["type"] == CODE_CALL and item.get("outputs") is None


async def _outputs(
    call: CreateCall, span: tuple[uuid.UUID, uuid.UUID], item_ids: AbstractSet[str]
) -> dict[str, list[Any]]:
    """By ids of items, of the session that those are of. Without pictures, which no model is
    given."""
    rows = ApiResponse.objects.filter(owner=call.user, deleted_at=None, session__id__range=span)
    found: dict[str, list[Any]] = {}
    async for output in rows.order_by("created_at").values_list("output", flat=True):
        for item in output or ():
            if item["id"] in item_ids:
                outputs: list[Any] = item.get("outputs") or []
                found[item["id"]] = [one for one in outputs if one["type"] == "logs"]
    return found
