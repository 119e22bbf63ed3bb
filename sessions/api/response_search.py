"""The tool `file_search` of a request for a response."""

from sessions.api.errors import ApiError
from sessions.api.response_files import CreateCall
from sessions.api.responses import CustomTool, FileSearch, FunctionTool
from sessions.api.vector_store_lookups import find_open_store


async def check_file_search(call: CreateCall) -> None:
    """Raises: ApiError for a second one, for stores that are not there or are another user's, and
    for a function of the same name."""
    tools = list(enumerate(call.body.tools or ()))
    searches = [(index, tool) for index, tool in tools if isinstance(tool, FileSearch)]
    if not searches:
        return
    if len(searches) > 1:
        param = f"tools[{searches[1][0]}]"
        message = "Only one file_search tool can be given; it takes several vector stores."
        raise ApiError(400, message, param=param, code="invalid_value")
    for index, tool in tools:
        if isinstance(tool, FunctionTool | CustomTool) and tool.name == "file_search":
            message = "A function cannot be called 'file_search' beside the tool of that name."
            raise ApiError(400, message, param=f"tools[{index}].name", code="invalid_value")
    index, search = searches[0]
    for number, store_id in enumerate(search.vector_store_ids):
        await find_open_store(call, store_id, param=f"tools[{index}].vector_store_ids[{number}]")
