"""The events of an endpoint's stream as JSON objects.

The client asks, and its models are left out: they take 300 us an event where reading it takes 20,
which is what a hundred streams at once are made of (measured with 5,000 chunks of one choice).
"""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import httpx2
import openai

from sessions.providers.openai_errors import cut_stream
from sessions.providers.server_sent import EventTooLargeError, data_of, raw_events

DONE = b"[DONE]"


async def stream_objects(stream: openai.AsyncStream[Any]) -> AsyncGenerator[dict[str, Any], None]:
    """Up to the end of the stream, which the caller closes. Raises, from the iterator: as the client
    itself would openai.APIError, json.JSONDecodeError and UnicodeDecodeError; PassingFailure for
    what no endpoint should send."""
    response = stream.response
    try:
        async with aclosing(raw_events(response.aiter_bytes())) as events:
            async for event in events:
                data = data_of(event)
                if data.startswith(DONE):
                    return
                if data.strip():
                    yield _object(data, response.request)
    except httpx2.RequestError as error:
        raise openai.APIConnectionError(request=response.request) from error
    except EventTooLargeError as error:
        raise cut_stream(str(error)) from error


def _object(data: bytes, request: httpx2.Request) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise cut_stream("unreadable answer")
    error = found.get("error")
    if error and found.get("type") != "error":
        message = error.get("message") if isinstance(error, dict) else None
        raise openai.APIError(str(message or "the answer broke off"), request, body=error)
    return found
