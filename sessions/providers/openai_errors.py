"""The official client as it is used here: its own retries off, its errors translated into ours."""

import email.utils
import json
import math
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any

import httpx2
import openai

from sessions.errors import ProviderUnavailableError
from sessions.providers.endpoint import Endpoint
from sessions.providers.failures import Facts, describe, is_passing, mask_secrets
from sessions.providers.retry import PassingFailure

NO_KEY = "none"
"""Sent to endpoints that want no key, because the client insists on one."""


@asynccontextmanager
async def connected(endpoint: Endpoint, model: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client for one request, closed at the end: leaving early cancels the request.

    Raises: what `translated` raises.
    """
    with translated(endpoint, model):
        async with client_of(endpoint) as client:
            yield client


def client_of(endpoint: Endpoint) -> openai.AsyncOpenAI:
    """Without retries of its own. Close it.

    Of its two transports the one that reads a stream for half of the time (170 us against 300 a
    piece, a hundred streams of five pieces a second).
    """
    address = httpx2.URL(endpoint.base_url)
    # This transport takes no credentials that are part of the address.
    auth = httpx2.BasicAuth(address.username, address.password) if address.userinfo else None
    return openai.AsyncOpenAI(
        api_key=endpoint.api_key or NO_KEY,
        base_url=address.copy_with(userinfo=b""),
        timeout=openai.Timeout(endpoint.read_timeout_s, connect=endpoint.connect_timeout_s),
        max_retries=0,
        http_client=openai.DefaultAioHttpClient(
            auth=auth,
            trust_env=endpoint.is_proxied,
            verify=_trusted(is_env_heeded=endpoint.is_proxied),
        ),
    )


@lru_cache(maxsize=2)
def _trusted(*, is_env_heeded: bool) -> ssl.SSLContext:
    """Reading the machine's certificates takes 50 ms, in which nothing else moves; what changes
    in them is seen after a restart."""
    return httpx2.create_ssl_context(trust_env=is_env_heeded)


def refused_parameter(error: openai.APIStatusError, names: Iterable[str]) -> str | None:
    """Which of the optional parameters `names` the endpoint says it does not take, if any."""
    facts = _status_facts(error)
    if error.status_code not in {400, 422}:
        return None
    for name in names:
        if facts.param.split(".")[0].split("[")[0] == name or name in facts.message:
            return name
    return None


@contextmanager
def translated(endpoint: Endpoint, model: str) -> Iterator[None]:
    """Raises: PassingFailure for what may pass, else the ProviderError that describes it."""
    try:
        yield
    except openai.APIConnectionError as error:
        raise _connection_failure(error, endpoint) from error
    except openai.APIStatusError as error:
        raise failure(_status_facts(error), endpoint, model) from error
    except openai.APIError as error:
        raise failure(facts_of_body(error.body, error.message), endpoint, model) from error
    except openai.OpenAIError as error:
        message = mask_secrets(str(error), endpoint.api_key)
        raise ProviderUnavailableError(
            f"The request could not be made: {message}",
            hint="Check OPENAI_BASE_URL and OPENAI_API_KEY.",
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        # A line of the stream that is not JSON, or not UTF-8.
        raise cut_stream(f"unreadable answer ({type(error).__name__})") from error


def failure(facts: Facts, endpoint: Endpoint, model: str) -> Exception:
    error = describe(facts, model=model, base_url=endpoint.shown_url, api_key=endpoint.api_key)
    if is_passing(facts):
        return PassingFailure(error.message, error, server_wait_s(facts.headers))
    return error


def cut_stream(reason: str = "the answer broke off before its end") -> PassingFailure:
    error = ProviderUnavailableError(
        f"The model could not be asked: {reason}.", hint="Send the task again."
    )
    return PassingFailure(reason, error, None)


def facts_of_body(body: object, message: str) -> Facts:
    """Of an error that came inside a stream: `{code, message, …}`, perhaps in an `error` object."""
    fields: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    if isinstance(fields.get("error"), Mapping):
        fields = fields["error"]
    code = fields.get("code")
    # Some servers put the HTTP status where the code belongs.
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    return Facts(
        message=str(fields.get("message") or message),
        status=status,
        code="" if code is None or status else str(code),
        type=str(fields.get("type") or ""),
        param=str(fields.get("param") or ""),
    )


def _status_facts(error: openai.APIStatusError) -> Facts:
    facts = facts_of_body(error.body, error.message)
    return Facts(
        message=facts.message,
        status=error.status_code,
        code=facts.code,
        type=facts.type,
        param=facts.param,
        headers={name.lower(): value for name, value in error.response.headers.items()},
    )


def is_timeout(error: BaseException) -> bool:
    """Whether time ran out: the client calls every connection that could not be made a timeout, and
    has the reason as its cause."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return True
        cause = cause.__cause__
    return False


def _connection_failure(error: openai.APIConnectionError, endpoint: Endpoint) -> PassingFailure:
    if is_timeout(error):
        reason = "no answer in time"
    else:
        reason = mask_secrets(str(error.__cause__ or error), endpoint.api_key)
    unavailable = ProviderUnavailableError(
        f"No connection to {endpoint.shown_url}: {reason}",
        hint="Check the network, OPENAI_BASE_URL and that the endpoint is running.",
    )
    return PassingFailure(f"no connection: {reason}", unavailable, None)


def server_wait_s(headers: Mapping[str, str]) -> float | None:
    """What the server asks to wait (retry-after-ms, Retry-After as seconds or date), if anything."""
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) / divisor
        except ValueError:
            continue
        if math.isfinite(wait_s) and wait_s >= 0:
            return wait_s
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())
