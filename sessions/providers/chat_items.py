"""A body of Chat Completions as a request to any provider: the inverse of chat_messages.py."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sessions.providers.base import (
    AssistantMessage,
    Item,
    ModelOptions,
    ModelRequest,
    ToolCall,
    ToolResultItem,
    ToolSpec,
    UserMessage,
)
from sessions.providers.conversation import text_of
from sessions.providers.tool_arguments import parse_arguments

Body = Mapping[str, Any]
NO_PARAMETERS = {"type": "object", "properties": {}}


def model_request(body: Body) -> ModelRequest:
    """Of a body in which nothing is asked for that a provider could only ignore."""
    items = [item for message in body["messages"] for item in _items(message)]
    tools = [] if body.get("tool_choice") == "none" else _tools(body.get("tools") or ())
    return ModelRequest("", items, tools, _options(body, has_tools=bool(tools)))


def _items(message: Body) -> Iterator[Item]:
    match message:
        case {"role": "assistant"}:
            if text := text_of(message.get("content")) or message.get("refusal"):
                yield AssistantMessage(str(text))
            for call in message.get("tool_calls") or ():
                function = call["function"]
                arguments = parse_arguments(function["name"], function["arguments"])
                yield ToolCall(call["id"], function["name"], arguments)
        case {"role": "tool", "tool_call_id": str() as call_id}:
            yield ToolResultItem(call_id, "", text=text_of(message["content"]))
        case {"role": "user", "content": list() as parts} if _has_more_than_text(parts):
            yield UserMessage(text_of(parts), "user", [_part(part) for part in parts])
        case {"role": "user" | "system" | "developer" as role}:
            yield UserMessage(text_of(message["content"]), role)


def _has_more_than_text(parts: Sequence[Body]) -> bool:
    return any(part["type"] != "text" for part in parts)


def _part(part: Body) -> dict[str, Any]:
    match part:
        case {"type": "image_url", "image_url": image}:
            detail = image.get("detail") or "auto"
            return {"type": "input_image", "image_url": image["url"], "detail": detail}
        case {"type": "file", "file": file}:
            fields = {"filename": file.get("filename") or "file", "file_data": file["file_data"]}
            return {"type": "input_file", **fields}
        case _:
            return {"type": "input_text", "text": str(part.get("text", ""))}


def _tools(tools: Sequence[Body]) -> list[ToolSpec]:
    functions = [tool["function"] for tool in tools]
    return [
        ToolSpec(
            name=function["name"],
            description=function.get("description") or "",
            parameters=function.get("parameters") or NO_PARAMETERS,
            is_strict=bool(function.get("strict")),
        )
        for function in functions
    ]


def _options(body: Body, *, has_tools: bool) -> ModelOptions:
    effort, verbosity = body.get("reasoning_effort"), body.get("verbosity")
    text = {"format": _format(body.get("response_format")), "verbosity": verbosity}
    text = {name: value for name, value in text.items() if value is not None}
    return ModelOptions(
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        max_output_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        parallel_tool_calls=body.get("parallel_tool_calls") if has_tools else None,
        tool_choice=_choice(body.get("tool_choice")) if has_tools else None,
        text=text or None,
        reasoning={"effort": effort} if effort else None,
    )


def _choice(choice: Any) -> str | dict[str, Any] | None:
    if isinstance(choice, Mapping):
        return {"type": "function", "name": choice["function"]["name"]}
    return str(choice) if choice else None


def _format(wanted: Body | None) -> dict[str, Any] | None:
    if not wanted or wanted["type"] == "text":
        return None
    if wanted["type"] == "json_schema":
        return {"type": "json_schema", **wanted["json_schema"]}
    return {"type": wanted["type"]}
