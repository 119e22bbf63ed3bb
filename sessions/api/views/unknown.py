"""Everything below `/v1` that is not there."""

from sessions.api.endpoint import Answer, Call, operation
from sessions.api.errors import ApiError
from sessions.api.schema import NoBody, NoQuery


@operation(summary="An address that is not served", access="none")
async def unknown(call: Call[NoBody, NoQuery]) -> Answer:
    raise ApiError(
        404,
        f"Unknown request URL: {call.http.method} {call.http.path}.",
        code="unknown_url",
    )
