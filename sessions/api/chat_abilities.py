"""What of a chat completion a model can honour; the rest is refused by name.

An endpoint that speaks Chat Completions gets all of it and refuses by itself. Others are asked in
another language, and the embedded model knows text and tools alone.
"""

from collections.abc import Iterator
from typing import Any

from sessions.api.chat import CreateChatCompletion, CustomTool
from sessions.api.chat_messages import AssistantMessage, FunctionMessage, UserMessage
from sessions.api.errors import ApiError
from sessions.providers.registry import LOCAL

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "function_call": (),
    "functions": (),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": ("none",),
    "seed": (),
    "service_tier": ("auto", "default"),
    "stop": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}
"""Values that ask for nothing, by the parameters that not every model takes."""
_LOCAL_TAKES = frozenset(
    {"frequency_penalty", "logprobs", "presence_penalty", "seed", "stop", "top_logprobs"}
)
_RENDERED_TAKES = frozenset({"reasoning_effort", "verbosity"})
_TEXT = frozenset({"text", "refusal"})


def check_abilities(body: CreateChatCompletion, kind: str, model: str) -> None:
    """`kind` is that of the provider. Raises: ApiError."""
    if kind == "openai_chat":
        return
    is_local = kind == LOCAL
    takes = _LOCAL_TAKES if is_local else _RENDERED_TAKES
    for name, neutral in _NEUTRAL.items():
        value = getattr(body, name)
        if value is not None and value not in neutral and name not in takes:
            raise unsupported(name, model)
    parts = _TEXT if is_local else _TEXT | {"image_url", "file"}
    for param in (*_tools(body, kind), *_messages(body, parts)):
        raise unsupported(param, model)


def unsupported(param: str, model: str) -> ApiError:
    message = f"Unsupported parameter: '{param}' is not supported with '{model}'."
    return ApiError(400, message, param=param, code="unsupported_parameter")


def _tools(body: CreateChatCompletion, kind: str) -> Iterator[str]:
    for index, tool in enumerate(body.tools or ()):
        if isinstance(tool, CustomTool):
            yield f"tools[{index}]"
        elif kind == "openai_responses" and tool.function.name == "shell":
            # A tool of the endpoint's own is called that.
            yield f"tools[{index}].function.name"
    choice = body.tool_choice
    if not isinstance(choice, str | None) and (choice.type != "function" or kind == LOCAL):
        yield "tool_choice"


def _messages(body: CreateChatCompletion, parts: frozenset[str]) -> Iterator[str]:
    for index, message in enumerate(body.messages):
        place = f"messages[{index}]"
        if isinstance(message, FunctionMessage):
            yield f"{place}.role"
        if isinstance(message, AssistantMessage):
            if message.function_call or message.audio:
                yield f"{place}.{'function_call' if message.function_call else 'audio'}"
            if any(call.type == "custom" for call in message.tool_calls or ()):
                yield f"{place}.tool_calls"
        if isinstance(message, UserMessage) and isinstance(message.content, list):
            for number, part in enumerate(message.content):
                if part.type not in parts:
                    yield f"{place}.content[{number}].type"


def check_pairs(body: CreateChatCompletion) -> None:
    """Every answer of a tool follows its call, and every call is answered. Raises: ApiError."""
    waiting: dict[str, int] = {}
    for index, message in enumerate(body.messages):
        if message.role == "tool":
            if waiting.pop(message.tool_call_id, None) is None:
                raise ApiError(
                    400,
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceding message with 'tool_calls'.",
                    param=f"messages[{index}].role",
                )
            continue
        _check_answered(waiting)
        if isinstance(message, AssistantMessage):
            waiting = {call.id: index for call in message.tool_calls or ()}
    _check_answered(waiting)


def _check_answered(waiting: dict[str, int]) -> None:
    if waiting:
        raise ApiError(
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            f"{', '.join(waiting)}",
            param="messages",
        )
