"""What passes is retried and seen, what does not pass ends with a sentence to act on."""

import asyncio
import logging
import time
from contextlib import aclosing

import pytest

from sessions.errors import (
    AuthenticationFailedError,
    ContextOverflowError,
    ModelRefusedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)
from sessions.providers.base import Finished, TextDelta
from sessions.providers.endpoint import RetryPolicy
from sessions.providers.openai_chat import OpenAIChat
from sessions.providers.openai_responses import OpenAIResponses
from tests.providers.asking import KEY, QUICK, ask, endpoint, items, request, retries, text
from tests.providers.wire_server import Answer, WireServer, error, recorded, stream, wire_server

(TEXT,) = recorded("chat-text")
SHELL_CALL, _ = recorded("openai-shell-tool.1")


def chat(wire: WireServer, retry: RetryPolicy = QUICK) -> OpenAIChat:
    return OpenAIChat(endpoint(wire.base_url), "m", retry)


@pytest.mark.slow
async def test_a_rate_limit_waits_as_long_as_the_server_says() -> None:
    limited = error(429, "Slow down.", {"Retry-After": "1"}, code="rate_limit_exceeded")
    async with wire_server(limited, stream(TEXT)) as wire:
        started_at = time.monotonic()
        deltas = await ask(chat(wire))
    (retrying,) = retries(deltas)
    assert (retrying.attempt, retrying.wait_s) == (1, 1.0)
    assert "Slow down." in retrying.reason
    assert time.monotonic() - started_at >= 1.0
    assert text(deltas) == "All done."


async def test_milliseconds_come_before_seconds() -> None:
    headers = {"retry-after-ms": "20", "Retry-After": "3"}
    async with wire_server(error(503, "Overloaded", headers), stream(TEXT)) as wire:
        (retrying,) = retries(await ask(chat(wire)))
    assert retrying.wait_s == 0.02


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_passing_failures_are_asked_again(status: int) -> None:
    async with wire_server(error(status, "busy"), error(status, "busy"), stream(TEXT)) as wire:
        deltas = await ask(chat(wire))
    assert [retrying.attempt for retrying in retries(deltas)] == [1, 2]
    assert text(deltas) == "All done."


async def test_attempts_are_counted_and_end_with_the_reason() -> None:
    async with wire_server(*[error(500, "the model crashed")] * 3) as wire:
        with pytest.raises(ProviderUnavailableError, match="the model crashed"):
            await ask(chat(wire))
    assert len(wire.requests) == 3


async def test_a_wait_beyond_patience_is_not_waited_for() -> None:
    async with wire_server(error(429, "tomorrow", {"Retry-After": "86400"})) as wire:
        with pytest.raises(ProviderUnavailableError, match="tomorrow"):
            await ask(chat(wire))


async def test_the_server_may_forbid_a_retry() -> None:
    async with wire_server(error(500, "side effects", {"x-should-retry": "false"})) as wire:
        with pytest.raises(ProviderUnavailableError):
            await ask(chat(wire))


async def test_a_cut_stream_is_asked_again_and_nothing_of_it_is_kept() -> None:
    cut = stream(SHELL_CALL[:-1], is_cut=True)
    async with wire_server(cut, stream(SHELL_CALL)) as wire:
        provider = OpenAIResponses(endpoint(wire.base_url), "m", QUICK)
        deltas = await ask(provider)
    assert len(retries(deltas)) == 1
    assert len(items(deltas)) == 1, "the call of the cut stream must not run as well"


async def test_an_error_chunk_inside_a_stream_is_understood() -> None:
    broken = {"error": {"message": "CUDA error", "type": "internal_error", "code": 500}}
    async with wire_server(stream([TEXT[0], broken]), stream(TEXT)) as wire:
        deltas = await ask(chat(wire))
    assert "CUDA error" in retries(deltas)[0].reason


@pytest.mark.parametrize("line", ['{"id": "chat', "[1]", '"words"', "5"])
async def test_a_line_that_is_no_object_counts_as_a_cut(line: str) -> None:
    async with wire_server(stream([TEXT[0], line]), stream(TEXT)) as wire:
        deltas = await ask(chat(wire))
    assert len(retries(deltas)) == 1


async def test_a_silent_stream_runs_into_the_timeout() -> None:
    async with wire_server(stream(TEXT[:1], is_stalled=True), stream(TEXT)) as wire:
        provider = OpenAIChat(endpoint(wire.base_url, read_timeout_s=0.3), "m", QUICK)
        deltas = await ask(provider)
    assert "no answer in time" in retries(deltas)[0].reason


async def test_nobody_there_says_where_nobody_is() -> None:
    async with wire_server() as wire:
        base_url = wire.base_url
    with pytest.raises(ProviderUnavailableError, match=base_url) as caught:
        await ask(OpenAIChat(endpoint(base_url), "m", QUICK))
    assert "OPENAI_BASE_URL" in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "expected", "hint"),
    [
        (error(401, "Incorrect API key", code="invalid_api_key"), AuthenticationFailedError, "OPENAI_API_KEY"),
        (Answer(401, body={"detail": "no"}), AuthenticationFailedError, "OPENAI_API_KEY"),
        (error(403, "You are not allowed to sample."), AuthenticationFailedError, "permissions"),
        (error(404, "The model `m` does not exist", code="model_not_found"), ModelRefusedError, "BERTH_MODEL"),
        (error(404, "model 'm' not found"), ModelRefusedError, "BERTH_MODEL"),
        (error(403, "Project does not have access to model m", code="model_not_found"), ModelRefusedError, "BERTH_MODEL"),
        (error(400, "x", code="context_length_exceeded"), ContextOverflowError, "new session"),
        (error(400, "This model's maximum context length is 8192 tokens."), ContextOverflowError, "new session"),
        (error(400, "request (60030 tokens) exceeds the available context size (8192 tokens), try increasing it", type="exceed_context_size_error"), ContextOverflowError, "new session"),
        (error(400, "prompt is too long: 210000 tokens > 200000 maximum"), ContextOverflowError, "new session"),
        (error(413, "Payload Too Large"), ContextOverflowError, "new session"),
        (error(429, "You exceeded your current quota", code="insufficient_quota"), QuotaExceededError, "credit"),
        (error(429, "spent", code="project_spend_limit_exceeded"), QuotaExceededError, "credit"),
        (error(402, "Payment required"), QuotaExceededError, "credit"),
        (error(404, "Not Found"), ProviderUnavailableError, "/v1"),
        (error(400, "temperature must be positive"), ProviderUnavailableError, "BERTH_OPENAI_API"),
    ],
)  # fmt: skip
async def test_lasting_failures_end_at_once_with_a_hint(
    answer: Answer, expected: type[ProviderError], hint: str
) -> None:
    async with wire_server(answer) as wire:
        with pytest.raises(expected) as caught:
            await ask(chat(wire))
    assert type(caught.value) is expected
    assert hint in caught.value.hint
    assert caught.value.message


async def test_the_key_never_shows(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = f"Incorrect API key provided: {KEY}. Also sk-proj-abcdefghijkl and Bearer xyz123."
    async with wire_server(error(401, said)) as wire:
        provider = chat(wire)
        with pytest.raises(AuthenticationFailedError) as caught:
            await ask(provider)
    for shown in (caught.value.message, repr(provider), repr(caught.value), caplog.text):
        assert KEY not in shown
        assert "abcdefghijkl" not in shown
        assert "xyz123" not in shown


async def test_credentials_of_the_address_are_sent_instead_of_the_key() -> None:
    async with wire_server(stream(TEXT)) as wire:
        base_url = wire.base_url.replace("http://", "http://user:hunter2@")
        await ask(OpenAIChat(endpoint(base_url), "m", QUICK))
        (asked,) = wire.requests
    assert asked.headers["authorization"] == "Basic dXNlcjpodW50ZXIy"


async def test_credentials_of_the_address_never_show() -> None:
    async with wire_server() as wire:
        base_url = wire.base_url.replace("http://", "http://user:hunter2@")
    with pytest.raises(ProviderUnavailableError) as caught:
        await ask(OpenAIChat(endpoint(base_url), "m", QUICK))
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


async def test_closing_the_iterator_closes_the_connection() -> None:
    async with wire_server(stream(TEXT[:1], is_stalled=True)) as wire:
        deltas = chat(wire).stream(request())
        async with aclosing(deltas):  # type: ignore[type-var]  # every provider is a generator
            assert await anext(deltas) == TextDelta("All ")
        await asyncio.wait_for(wire.left_early.wait(), 2)


async def test_cancelling_the_reader_closes_the_connection() -> None:
    async with wire_server(stream(TEXT[:1], is_stalled=True)) as wire:
        reading = asyncio.create_task(ask(chat(wire)))
        await asyncio.wait_for(wire.stalled.wait(), 20)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await asyncio.wait_for(wire.left_early.wait(), 2)


async def test_proxies_are_not_used_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with wire_server(stream(TEXT)) as wire:
        deltas = await ask(chat(wire))
    assert isinstance(deltas[-1], Finished)
