"""Files that come with a request for a response."""

import base64
from collections.abc import Set as AbstractSet

from sessions.api.container_contents import stored_file_chunks
from sessions.api.endpoint import Call
from sessions.api.errors import ApiError
from sessions.api.lookups import find_file
from sessions.api.responses import CodeInterpreterTool, CreateResponse, ShellTool, Tool
from sessions.api.schema import NoQuery
from sessions.models import ApiResponse, Session
from sessions.responses.model_items import is_answer
from sessions.responses.output_items import Fields
from sessions.services import NewSession, NewUpload

CreateCall = Call[CreateResponse, NoQuery]

RESULTS = ("function_call_output", "custom_tool_call_output")
IMAGES_BY_URL = "images are taken as `image_url`"


async def files_of(
    call: CreateCall,
    before: list[Fields],
    items: list[Fields],
    *,
    session: Session | NewSession,
    has_container: bool,
) -> list[NewUpload]:
    """Files of the tool and of messages, for the container; messages then say where they are. What a
    container was given before is not given again: it may have been changed there. One that is the
    session's first is given what came `before` as well. Raises: ApiError."""
    given, is_new = await _given(session) if has_container else (set[str](), False)
    found = await _of_tools(call, given)
    if is_new and has_container:
        for item in before:
            for part in item["content"] if item["type"] == "message" else ():
                earlier = await _part(call, part, "input", has_container=True)
                found += [earlier] if earlier is not None else []
    fresh = 0 if is_new else _behind_answers(items)
    for index, item in enumerate(items):
        _check_result(item, f"input[{index}].output")
        if item["type"] != "message":
            continue
        for number, part in enumerate(item["content"]):
            param = f"input[{index}].content[{number}]"
            sent = await _part(call, part, param, has_container=has_container)
            if sent is not None and index >= fresh:
                found.append(sent)
    return found


async def _of_tools(call: CreateCall, given: AbstractSet[str]) -> list[NewUpload]:
    """Each once, and none of those `given`."""
    found: dict[str, NewUpload] = {}
    for index, tool in enumerate(call.body.tools or ()):
        where, name = _container_of(tool)
        for number, file_id in enumerate(getattr(where, "file_ids", None) or ()):
            param = f"tools[{index}].{name}.file_ids[{number}]"
            found[file_id] = await _stored(call, file_id, param)
    return [upload for file_id, upload in found.items() if file_id not in given]


def file_ids_of(call: CreateCall) -> list[str]:
    """Those that tools name for their container."""
    places = [_container_of(tool)[0] for tool in call.body.tools or ()]
    return [file_id for place in places for file_id in getattr(place, "file_ids", None) or ()]


async def _given(session: Session | NewSession) -> tuple[set[str], bool]:
    """Ids of files that responses named for the session's container, and whether none of them had
    one."""
    if isinstance(session, NewSession):
        return set(), True
    given: set[str] = set()
    has_responses = has_container = False
    columns = ("request__tools", "request__code_container", "request__file_ids")
    rows = ApiResponse.objects.filter(session=session).values(*columns)
    async for row in rows.aiterator(chunk_size=20):
        has_responses = True
        is_code_there = bool(row["request__code_container"])
        has_container = has_container or is_code_there or _has_container(row["request__tools"])
        given.update(row["request__file_ids"] or ())
    return given, has_responses and not has_container


def _has_container(tools: list[Fields]) -> bool:
    shells = [tool["environment"] for tool in tools if tool["type"] == "shell"]
    return any("container_id" in one for one in shells)


def _container_of(tool: Tool) -> tuple[object, str]:
    """What a tool says of its container, and where it says so."""
    match tool:
        case ShellTool():
            return tool.environment, "environment"
        case CodeInterpreterTool():
            return tool.container, "container"
    return None, ""


async def _stored(call: CreateCall, file_id: str, param: str) -> NewUpload:
    file = await find_file(call, file_id, param=param)
    return NewUpload(file.filename, stored_file_chunks(file.id), file.size)


def _behind_answers(items: list[Fields]) -> int:
    """Where what the program says anew begins."""
    answers = [index for index, item in enumerate(items) if is_answer(item)]
    return answers[-1] + 1 if answers else 0


def _check_result(item: Fields, param: str) -> None:
    """Of a tool of the program's. Raises: ApiError for what no model would be shown of it."""
    output = item.get("output")
    if item["type"] not in RESULTS or not isinstance(output, list):
        return
    for number, part in enumerate(output):
        if part["type"] == "input_file":
            raise _unsupported(f"{param}[{number}]", "files are taken in messages")
        if part["type"] == "input_image" and part.get("image_url") is None:
            raise _unsupported(f"{param}[{number}].file_id", IMAGES_BY_URL)


async def _part(
    call: CreateCall, part: Fields, param: str, *, has_container: bool
) -> NewUpload | None:
    if part["type"] == "input_image" and part.get("image_url") is None:
        raise _unsupported(f"{param}.file_id", IMAGES_BY_URL)
    if part["type"] != "input_file":
        return None
    if part.get("file_url") is not None:
        raise _unsupported(f"{param}.file_url", "files are taken as `file_id` or `file_data`")
    if not has_container:
        if part.get("file_id") is not None:
            raise _unsupported(f"{param}.file_id", "without a container files are `file_data`")
        return None
    if part.get("file_id") is not None:
        stored = await _stored(call, part["file_id"], f"{param}.file_id")
        part["filename"] = stored.name
        return stored
    data = _decoded(part.get("file_data"), f"{param}.file_data")
    part["filename"] = part.get("filename") or "file"
    return NewUpload(part["filename"], [data], len(data))


def _unsupported(param: str, hint: str) -> ApiError:
    message = f"Unsupported parameter: '{param}'; {hint}."
    return ApiError(400, message, param=param, code="unsupported_parameter")


def _decoded(data: str | None, param: str) -> bytes:
    """Raises: ApiError."""
    head, _, text = (data or "").rpartition(",")
    if data is None or (head and not head.endswith(";base64")):
        raise ApiError(400, f"Invalid '{param}': expected `data:…;base64,…`.", param=param)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ApiError(400, f"Invalid '{param}': that is no base64.", param=param) from error
