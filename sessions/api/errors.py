"""Errors as the API's clients read them: `{"error": {"message", "type", "param", "code"}}`."""

from typing import Literal, TypeAlias

from django.http import JsonResponse
from typing_extensions import override

from sessions.errors import BerthError, NotPermittedError, TooManyRequestsError

ErrorType: TypeAlias = Literal[
    "invalid_request_error",
    "authentication_error",
    "insufficient_permissions",
    "rate_limit_error",
    "requests",
    "tokens",
    "server_error",
]


class ApiError(Exception):
    """An answer that is not the one asked for. `code` and `param` may be null."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: ErrorType = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.headers = headers or {}

    @override
    def __str__(self) -> str:
        return f"{self.status}: {self.message}"

    def to_json(self) -> dict[str, str | None]:
        return {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }

    def to_response(self) -> JsonResponse:
        return JsonResponse({"error": self.to_json()}, status=self.status, headers=self.headers)


def not_found(message: str, *, param: str | None = None) -> ApiError:
    """For what does not exist and for what is another user's: nobody can tell which."""
    return ApiError(404, message, param=param)


def from_berth(error: BerthError) -> ApiError:
    """Errors of the services, whose own codes stay readable."""
    headers = {}
    type_: ErrorType = "invalid_request_error" if error.status < 500 else "server_error"
    if isinstance(error, TooManyRequestsError):
        type_ = error.kind
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, NotPermittedError):
        type_ = "insufficient_permissions"
    if error.status == 409:
        # The clients ask again by themselves after a 409; the same call would be refused again.
        headers["x-should-retry"] = "false"
    return ApiError(
        error.status,
        error.message,
        type=type_,
        param=error.param,
        code=error.code,
        headers=headers,
    )


def choice_without_tools() -> ApiError:
    message = "'tool_choice' is only allowed when 'tools' are specified."
    return ApiError(400, message, param="tool_choice", code="invalid_value")
