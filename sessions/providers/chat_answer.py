"""What a program is given of a chat completion, and what of it goes into the log."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sessions.providers.base import Delta

Answer: TypeAlias = dict[str, Any]
"""A whole `chat.completion`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`data` are bytes for the program, `deltas` for the log. The last has the whole `answer`."""

    data: bytes
    deltas: Sequence[Delta] = ()
    answer: Answer | None = None


class ChatRefusalError(Exception):
    """An error as the program is told of it. `hint` is for a person who watches."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = dict(headers or {})
        self.hint = hint

    @property
    def type(
        self,
    ) -> Literal["invalid_request_error", "rate_limit_error", "server_error"]:
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.status < 500 else "server_error"

    def to_json(self) -> dict[str, Any]:
        return {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }


DONE = b"data: [DONE]\n\n"


def frame(value: Mapping[str, Any]) -> bytes:
    # JSON leaves no line break unescaped.
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def usage_of(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
