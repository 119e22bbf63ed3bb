"""The door: who calls, what they sent, and every answer in the shape the clients read.

An operation is a function from a `Call` to a resource or a response. What it takes and gives is
declared where it is defined, so that the OpenAPI document is made from the same.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase, JsonResponse, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt

from sessions.api.errors import ApiError, from_berth
from sessions.api.rate_limits import rate_headers_of, spend_request
from sessions.api.schema import NOTHING_MORE, NoBody, NoQuery, RequestPart, Resource, Unmodelled
from sessions.api.validation import parsed_json, query_of, validated
from sessions.errors import BerthError
from sessions.models import ApiKey
from sessions.models.scopes import access_of, scope_of
from sessions.runtime.callers import client_network
from sessions.runtime.keys import bearer, check_scope, key_of

logger = logging.getLogger(__name__)

API_VERSION = "2020-10-01"
"""What the hosted API answers with in `openai-version`."""
MAX_CLIENT_ID_LENGTH = 512
MAX_JSON_BYTES = 64 * 1024 * 1024
"""Files may be part of it, in base64."""

Body = TypeVar("Body", bound=RequestPart, covariant=True)
Query = TypeVar("Query", bound=RequestPart, covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[Body, Query]):
    """One request whose sender is known and whose parts were validated."""

    http: HttpRequest
    user: User
    request_id: str
    body: Body
    query: Query
    key: ApiKey


Answer = Resource | HttpResponseBase
Access = Literal["read", "write", "none"]
Handler = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    handler: Handler
    body: type[RequestPart]
    """Of JSON, or of the fields of a form; the handler reads the form's files by itself."""
    query: type[RequestPart]
    returns: type[Resource] | None
    """None for bytes."""
    summary: str
    unmodelled: Unmodelled = NOTHING_MORE
    access: Access | None = None
    """What it does with what its address is of, where the method does not say so."""

    async def run(
        self, http: HttpRequest, key: ApiKey, request_id: str, **path: str
    ) -> HttpResponseBase:
        needed = self.scope(http.path_info, http.method)
        if needed is not None:
            check_scope(key, needed)
        body = validated(self.body, await self._sent(http))
        query = validated(self.query, query_of(http.GET, self.query.repeated))
        answer = await self.handler(Call(http, key.user, request_id, body, query, key), **path)
        if isinstance(answer, Resource):
            return JsonResponse(answer.to_json())
        return answer

    def scope(self, path: str, method: str | None) -> str | None:
        """Which scope a key needs for it (models/scopes.py); None where any key will do."""
        access = self.access or access_of(method)
        return None if access == "none" else scope_of(path, access)

    async def _sent(self, http: HttpRequest) -> Any:
        if self.body is NoBody:
            return {}
        if http.content_type == "multipart/form-data":
            return (await asyncio.to_thread(_form, http)).dict()
        data = await asyncio.to_thread(http.read, MAX_JSON_BYTES + 1)
        if len(data) > MAX_JSON_BYTES:
            raise ApiError(413, f"The body is longer than {MAX_JSON_BYTES >> 20} MiB.")
        return parsed_json(data)


def _form(http: HttpRequest) -> QueryDict:
    """Blocks. Raises: ApiError."""
    try:
        return http.POST
    except MultiPartParserError as error:
        raise ApiError(400, "The form could not be parsed.") from error


def operation(
    *,
    summary: str,
    body: type[RequestPart] = NoBody,
    query: type[RequestPart] = NoQuery,
    returns: type[Resource] | None = None,
    unmodelled: Unmodelled = NOTHING_MORE,
    access: Access | None = None,
) -> Callable[[Handler], Operation]:
    def declare(handler: Handler) -> Operation:
        return Operation(handler, body, query, returns, summary, unmodelled, access)

    return declare


class Endpoint:
    """One address: its operations by method. A Django view."""

    def __init__(self, **operations: Operation) -> None:
        self.operations = operations

    async def __call__(self, request: HttpRequest, **path: str) -> HttpResponseBase:
        began_at = time.monotonic()
        request_id = f"req_{uuid.uuid4().hex}"
        response = await self._answer(request, request_id, path)
        for name, value in rate_headers_of(request).items():
            response[name] = value
        response["x-request-id"] = request_id
        response["openai-version"] = API_VERSION
        response["openai-processing-ms"] = str(round((time.monotonic() - began_at) * 1000))
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store"
        return response

    async def _answer(
        self, request: HttpRequest, request_id: str, path: dict[str, str]
    ) -> HttpResponseBase:
        try:
            key = await _caller(request)
            await spend_request(request, key)
            _check_client_id(request)
            found = self.operations.get(request.method or "")
            if found is None:
                raise _method_not_allowed(request, self.operations)
            return await found.run(request, key, request_id, **path)
        except ApiError as error:
            return error.to_response()
        except BerthError as error:
            if error.status >= 500:
                logger.warning("%s: %s: %s", request.path, error.code, error.message)
            return from_berth(error).to_response()
        except Exception:
            logger.exception("%s %s failed (%s)", request.method, request.path, request_id)
            message = f"The server had an error while processing your request ({request_id})."
            return ApiError(500, message, type="server_error").to_response()


def view(**operations: Operation) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """An `Endpoint` as Django wants it. A key is sent on purpose, unlike a cookie: there is
    nothing for a CSRF token to protect."""
    endpoint = Endpoint(**operations)

    async def serve(request: HttpRequest, **path: str) -> HttpResponseBase:
        return await endpoint(request, **path)

    serve.endpoint = endpoint  # type: ignore[attr-defined]  # for the OpenAPI document
    return csrf_exempt(serve)


async def _caller(request: HttpRequest) -> ApiKey:
    """By API key alone: cookies that came along are not read. Raises: ApiError;
    TooManyRequestsError."""
    secret = bearer(request.headers.get("Authorization", ""))
    if not secret:
        raise _unauthorized(
            "No API key was given. Send it in a header: `Authorization: Bearer KEY`."
        )
    key = await key_of(secret, network=client_network(request))
    if key is None:
        raise _unauthorized("This API key is unknown, has expired or has been revoked.")
    return key


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def _check_client_id(request: HttpRequest) -> None:
    """Raises: ApiError."""
    given = request.headers.get("X-Client-Request-Id", "")
    if not given.isascii() or len(given) > MAX_CLIENT_ID_LENGTH:
        raise ApiError(
            400,
            f"X-Client-Request-Id takes up to {MAX_CLIENT_ID_LENGTH} ASCII characters.",
            param="X-Client-Request-Id",
        )


def _method_not_allowed(request: HttpRequest, operations: dict[str, Any]) -> ApiError:
    return ApiError(
        405,
        f"Not allowed to {request.method} on {request.path}.",
        code="method_not_supported",
        headers={"Allow": ", ".join(operations)},
    )
