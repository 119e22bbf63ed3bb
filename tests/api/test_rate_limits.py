"""How much programs may ask for, and what they are told beyond that."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import httpx2
import openai
import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.core.cache import cache
from django.utils import timezone
from typing_extensions import override

from sessions import services
from sessions.models import Allowance, ApiKey, ApiResponse
from sessions.providers.base import Delta, Finished, ModelRequest
from sessions.providers.scripted import ScriptedProvider
from sessions.runtime.process import Runtime
from sessions.runtime.request_bodies import SpoolingHandler
from sessions.services import allowances, wrong_keys
from sessions.services.allowances import Allowances, Limit
from sessions.services.rate_limits import duration
from tests.api.conftest import ClientOf
from tests.scripted_models import ScriptedModels

RESET = re.compile(r"(\d+m)?\d+(\.\d+)?(ms|s)")


@pytest.fixture(autouse=True)
def _fresh_counts() -> None:
    cache.clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Microseconds that pass only when a test says so."""
    now = [1_800_000_000_000_000]
    monkeypatch.setattr(allowances, "_now_us", lambda: now[0])
    return now


async def key_with(user: User, **limits: int) -> str:
    key, secret = await services.api_key_create(user=user, name="limited")
    await ApiKey.objects.filter(id=key.pk).aupdate(**limits)
    return secret


async def test_every_answer_says_how_the_limit_stands(
    alice: User, client_of: ClientOf, clock: list[int]
) -> None:
    client = client_of(await key_with(alice, requests_per_minute=10))
    first = await client.models.with_raw_response.list()
    assert first.headers["x-ratelimit-limit-requests"] == "10"
    assert first.headers["x-ratelimit-remaining-requests"] == "9"
    assert first.headers["x-ratelimit-reset-requests"] == "6s"
    assert "x-ratelimit-limit-tokens" not in first.headers
    with pytest.raises(openai.NotFoundError) as raised:
        await client.containers.retrieve("cntr_x")
    assert raised.value.response.headers["x-ratelimit-remaining-requests"] == "8"


async def test_one_too_many_is_refused_until_there_is_room_again(
    alice: User, client_of: ClientOf, clock: list[int]
) -> None:
    client = client_of(await key_with(alice, requests_per_minute=3))
    for _ in range(3):
        await client.models.list()
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as raised:
            await client.models.list()
        assert (raised.value.type, raised.value.code) == ("requests", "rate_limit_exceeded")
        assert raised.value.response.headers["retry-after"] == "20"
        assert raised.value.response.headers["x-ratelimit-remaining-requests"] == "0"
        assert RESET.fullmatch(raised.value.response.headers["x-ratelimit-reset-requests"])
    clock[0] += 20_000_000
    await client.models.list()
    with pytest.raises(openai.RateLimitError):
        await client.models.list()


async def test_the_official_client_waits_as_it_is_told_and_tries_again(
    alice: User, client_of: ClientOf, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(await key_with(alice, requests_per_minute=1)).with_options(max_retries=1)
    await client.models.list()
    waited: list[float] = []

    async def pass_time(seconds: float) -> None:
        waited.append(seconds)
        clock[0] += int(seconds * 1e6)

    monkeypatch.setattr("openai._base_client.anyio.sleep", pass_time)
    assert (await client.models.list()).data
    assert waited == [60.0]


async def test_other_keys_and_users_are_not_in_the_way(
    alice: User, bob: User, client_of: ClientOf, clock: list[int]
) -> None:
    used_up = client_of(await key_with(alice, requests_per_minute=1))
    await used_up.models.list()
    with pytest.raises(openai.RateLimitError):
        await used_up.models.list()
    await client_of(await key_with(alice)).models.list()
    await client_of(await key_with(bob, requests_per_minute=1)).models.list()


async def test_more_keys_are_not_more_for_the_user(
    alice: User, bob: User, client_of: ClientOf, settings: Any, clock: list[int]
) -> None:
    settings.BERTH_USER_REQUESTS_PER_MINUTE = 2
    one, two = client_of(await key_with(alice)), client_of(await key_with(alice))
    await one.models.list()
    raw = await two.models.with_raw_response.list()
    assert raw.headers["x-ratelimit-limit-requests"] == "2"
    for client in (one, two):
        with pytest.raises(openai.RateLimitError, match="Rate limit reached for user"):
            await client.models.list()
    await client_of(await key_with(bob)).models.list()


async def test_no_limit_is_no_header(alice: User, client_of: ClientOf, settings: Any) -> None:
    settings.BERTH_KEY_REQUESTS_PER_MINUTE = settings.BERTH_USER_REQUESTS_PER_MINUTE = 0
    raw = await client_of(await key_with(alice)).models.with_raw_response.list()
    assert not [name for name in raw.headers if name.startswith("x-ratelimit")]
    assert not await Allowance.objects.aexists()


@pytest.mark.parametrize("per_minute", [7, 1000])
async def test_several_processes_share_one_limit(
    transactional_db: None, clock: list[int], per_minute: int
) -> None:
    limit = Limit("requests key 1", per_minute)
    processes = [Allowances() for _ in range(3)]
    allowed = 0
    for turn in range(per_minute * 2):
        standing = await processes[turn % 3].spend(limit)
        allowed += standing.is_allowed
    assert allowed == per_minute
    clock[0] += 60_000_000
    again = [(await processes[0].spend(limit)).is_allowed for _ in range(per_minute * 2)]
    assert sum(again) == per_minute


async def test_a_request_seldom_costs_a_write(
    transactional_db: None, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    take = allowances.allowance_take_now

    def counted(limit: Limit, *, at_most: int) -> tuple[int, int]:
        taken.append(at_most)
        return take(limit, at_most=at_most)

    monkeypatch.setattr(allowances, "allowance_take_now", counted)
    process, limit = Allowances(), Limit("requests key 1", 6000)
    for _ in range(600):
        assert (await process.spend(limit)).is_allowed
    assert taken == [60] * 10


async def test_refusals_cost_no_look_at_the_database(
    transactional_db: None, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, limit = Allowances(), Limit("requests key 1", 1)
    assert (await process.spend(limit)).is_allowed
    assert not (await process.spend(limit)).is_allowed
    monkeypatch.setattr(allowances, "allowance_take_now", None)
    assert not (await process.spend(limit)).is_allowed


async def test_rows_that_say_nothing_are_removed(transactional_db: None, clock: list[int]) -> None:
    await Allowances().spend(Limit("requests key 1", 5))
    await services.allowances_forget()
    assert await Allowance.objects.acount() == 1
    clock[0] += 200_000_000
    await services.allowances_forget()
    assert not await Allowance.objects.aexists()


async def test_responses_at_a_time_are_counted_per_key(
    alice: User, bob: User, client_of: ClientOf
) -> None:
    """Nothing runs turns here, so what is asked for in the background stays under way."""
    limited = client_of(await key_with(alice, max_responses=1))
    made = await limited.responses.create(model="default", input="hi", background=True)
    with pytest.raises(openai.RateLimitError, match="1 responses under way") as raised:
        await limited.responses.create(model="default", input="hi", background=True)
    assert raised.value.response.headers["retry-after"] == "5"
    assert (raised.value.type, raised.value.code) == ("requests", "rate_limit_exceeded")
    assert await ApiResponse.objects.acount() == 1
    for user in (alice, bob):
        other = client_of(await key_with(user))
        await other.responses.create(model="default", input="hi", background=True)
    await limited.responses.cancel(made.id)
    await limited.responses.retrieve(made.id)
    await limited.responses.create(model="default", input="hi", background=True)


async def test_responses_at_a_time_are_counted_per_user(
    alice: User, bob: User, client_of: ClientOf, settings: Any
) -> None:
    settings.BERTH_USER_MAX_RESPONSES = 1
    await client_of(await key_with(alice)).responses.create(input="hi", background=True)
    with pytest.raises(openai.RateLimitError, match="this user has 1 responses"):
        await client_of(await key_with(alice)).responses.create(input="hi", background=True)
    await client_of(await key_with(bob)).responses.create(input="hi", background=True)


async def test_tokens_are_charged_when_they_are_known(
    alice: User, client_of: ClientOf, clock: list[int]
) -> None:
    client = client_of(await key_with(alice, tokens_per_minute=600))
    made = await client.responses.with_raw_response.create(
        model="default", input="hi", background=True
    )
    assert made.headers["x-ratelimit-limit-tokens"] == "600"
    assert made.headers["x-ratelimit-remaining-tokens"] == "600"
    row = await ApiResponse.objects.aget()
    used = {"status": "completed", "input_tokens": 500, "output_tokens": 200}
    for _ in range(2):  # noted, and charged, once
        await services.response_end(response=row, fields=used, output=[])
    with pytest.raises(openai.RateLimitError, match=r"on tokens per min: Limit 600") as raised:
        await client.responses.create(model="default", input="hi", background=True)
    assert raised.value.type == "tokens"
    assert raised.value.response.headers["x-ratelimit-remaining-tokens"] == "0"
    assert raised.value.response.headers["retry-after"] == "11"
    await client.models.list()  # takes none
    clock[0] += 11_000_000
    await client.responses.create(model="default", input="hi", background=True)


ASKS: list[tuple[str, dict[str, Any]]] = [
    ("/chat/completions", {"messages": [{"role": "user", "content": "Hi."}]}),
    ("/responses/compact", {"input": "Remember the Elbe."}),
]


class Costly(ScriptedProvider):
    """Says of each answer that it took ten tokens."""

    @override
    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        async for delta in ScriptedProvider.stream(self, request):
            yield Finished(7, 3) if isinstance(delta, Finished) else delta


@pytest.mark.parametrize(("path", "asked"), ASKS)
async def test_whatever_asks_a_model_is_charged_and_held_to_the_limit(
    alice: User,
    client_of: ClientOf,
    sandbox_runtime: Runtime,
    clock: list[int],
    path: str,
    asked: dict[str, Any],
) -> None:
    sandbox_runtime.models = ScriptedModels(Costly())
    client = client_of(await key_with(alice, tokens_per_minute=600))

    async def ask() -> int:
        body = {"model": "scripted", **asked}
        answer = await client.post(path, body=body, cast_to=httpx2.Response)
        used: int = answer.json()["usage"]["total_tokens"]
        return used

    assert await ask() == 10
    raw = await client.models.with_raw_response.list()
    assert raw.headers["x-ratelimit-remaining-tokens"] == "590"
    await services.tokens_charge(owner_id=alice.pk, key_id=await only_key(), tokens=1200)
    with pytest.raises(openai.RateLimitError, match="on tokens per min"):
        await ask()
    clock[0] += 120_000_000
    assert await ask() == 10


async def only_key() -> int:
    return (await ApiKey.objects.aget()).pk


async def test_wrong_keys_are_slowed_and_right_ones_are_not_locked_out(
    alice: User, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr(wrong_keys, "FREE_GUESSES", 2)
    monkeypatch.setattr("sessions.services.wrong_keys.asyncio.sleep", pause)
    right = client_of(await key_with(alice))
    for guess in ("berth_a", "berth_b"):
        with pytest.raises(openai.AuthenticationError):
            await client_of(guess).models.list()
    for guess in ("berth_c", "berth_" + "d" * 43):
        with pytest.raises(openai.RateLimitError) as raised:
            await client_of(guess).models.list()
        assert int(raised.value.response.headers["retry-after"]) >= 1
    assert wrong_keys.PAUSE_S in paused
    await right.models.list()


async def test_guesses_of_another_network_are_not_counted(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrong_keys, "FREE_GUESSES", 1)
    app = cast("Any", SpoolingHandler())
    for address in ("192.0.2.1", "192.0.2.2"):
        transport = httpx2.ASGITransport(app=app, client=(address, 1))
        async with httpx2.AsyncClient(transport=transport) as program:
            answer = await program.get(
                "http://testserver/v1/models", headers={"Authorization": "Bearer berth_x"}
            )
        assert answer.status_code == 401


async def test_an_expired_key_is_unknown(alice: User, client_of: ClientOf) -> None:
    key, secret = await services.api_key_create(
        user=alice, name="short", expires_in=timedelta(days=1)
    )
    client = client_of(secret)
    await client.models.list()
    await ApiKey.objects.filter(id=key.pk).aupdate(expires_at=timezone.now())
    with pytest.raises(openai.AuthenticationError, match="has expired"):
        await client.models.list()


async def test_no_secret_is_logged(
    alice: User, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    secret = await key_with(alice, requests_per_minute=1)
    client = client_of(secret)
    await client.models.list()
    with pytest.raises(openai.RateLimitError):
        await client.get("/models", cast_to=httpx2.Response)
    assert secret not in caplog.text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0ms"), (0.012, "12ms"), (1, "1s"), (6.5, "6.5s"), (360, "6m0s"), (61.25, "1m1.25s")],
)
def test_durations_are_written_as_the_hosted_api_writes_them(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


async def test_charging_beyond_a_limit_is_waited_for(
    transactional_db: None, clock: list[int]
) -> None:
    limit = Limit("tokens key 1", 60)
    await database_sync_to_async(allowances.allowance_charge_now)(limit, 120)
    standing = await database_sync_to_async(allowances.allowance_look_now)(limit)
    assert not standing.is_allowed
    assert standing.retry_after_s == 61
    assert standing.reset_s == 120
