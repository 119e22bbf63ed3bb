"""What more of a response or a conversation can be asked for."""

from typing import ClassVar, Literal

from pydantic import Field

from sessions.api.schema import NoQuery, PageQuery

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
_WHAT = "Outputs of code and results of searches; the others are there always, or never."


class IncludeQuery(NoQuery):
    repeated: ClassVar[frozenset[str]] = frozenset({"include"})

    include: list[Include] | None = Field(None, description=_WHAT)


class ItemsQuery(PageQuery):
    repeated: ClassVar[frozenset[str]] = frozenset({"include"})

    include: list[Include] | None = Field(None, description=_WHAT)
