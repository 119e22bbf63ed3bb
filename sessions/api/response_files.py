"""Files that come with a request for a response."""

import base64
import binascii
from typing import Any

from sessions.api.container_contents import stored_file_chunks
from sessions.api.endpoint import Call
from sessions.api.errors import ApiError
from sessions.api.lookups import find_file
from sessions.api.responses import CreateResponse, ShellTool
from sessions.api.schema import NoQuery
from sessions.services import NewUpload

Fields = dict[str, Any]
CreateCall = Call[CreateResponse, NoQuery]


async def files_of(
    call: CreateCall, items: list[Fields], *, has_container: bool
) -> list[NewUpload]:
    """Files of the tool and of messages, for the container; messages then say where they are.
    Raises: ApiError."""
    found: list[NewUpload] = []
    for index, tool in enumerate(call.body.tools or ()):
        where = tool.environment if isinstance(tool, ShellTool) else None
        for number, file_id in enumerate(getattr(where, "file_ids", None) or ()):
            param = f"tools[{index}].environment.file_ids[{number}]"
            file = await find_file(call, file_id, param=param)
            found.append(NewUpload(file.filename, stored_file_chunks(file.id), file.size))
    for index, item in enumerate(items):
        if item["type"] != "message":
            continue
        for number, part in enumerate(item["content"]):
            param = f"input[{index}].content[{number}]"
            await _part(call, part, param, found, has_container=has_container)
    return found


async def _part(
    call: CreateCall, part: Fields, param: str, found: list[NewUpload], *, has_container: bool
) -> None:
    if part["type"] == "input_image" and part.get("image_url") is None:
        raise _unsupported(f"{param}.file_id", "images are taken as `image_url`")
    if part["type"] != "input_file":
        return
    if part.get("file_url") is not None:
        raise _unsupported(f"{param}.file_url", "files are taken as `file_id` or `file_data`")
    if not has_container:
        if part.get("file_id") is not None:
            raise _unsupported(f"{param}.file_id", "without a container files are `file_data`")
        return
    if part.get("file_id") is not None:
        file = await find_file(call, part["file_id"], param=f"{param}.file_id")
        upload = NewUpload(file.filename, stored_file_chunks(file.id), file.size)
        part["filename"] = file.filename
    else:
        data = _decoded(part.get("file_data"), f"{param}.file_data")
        part["filename"] = part.get("filename") or "file"
        upload = NewUpload(part["filename"], [data], len(data))
    found.append(upload)


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
    except binascii.Error as error:
        raise ApiError(400, f"Invalid '{param}': that is no base64.", param=param) from error
