"""What more of a response or a conversation can be asked for."""

from typing import Literal, get_args

from django.http import HttpRequest

from sessions.api.errors import ApiError

Include = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
INCLUDABLE: tuple[str, ...] = get_args(Include)


def check_include(request: HttpRequest) -> list[str]:
    """What is to be included. Raises: ApiError for what cannot be."""
    names = request.GET.getlist("include[]")
    for index, name in enumerate(names):
        if name not in INCLUDABLE:
            raise ApiError(
                400,
                f"Invalid value: '{name}'. Supported values: {', '.join(INCLUDABLE)}.",
                param=f"include[{index}]",
                code="invalid_value",
            )
    return names
