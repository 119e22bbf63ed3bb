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


def check_include(request: HttpRequest) -> None:
    """Raises: ApiError for what cannot be included."""
    for index, name in enumerate(request.GET.getlist("include[]")):
        if name not in INCLUDABLE:
            raise ApiError(
                400,
                f"Invalid value: '{name}'. Supported values: {', '.join(INCLUDABLE)}.",
                param=f"include[{index}]",
                code="invalid_value",
            )
