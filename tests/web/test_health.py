"""/healthz for probes."""

import asyncio
import contextlib

import pytest
from django.test import AsyncClient
from typing_extensions import override

from sessions.runtime.wiring import runtime
from sessions.sandbox.base import EngineInfo
from sessions.web.views import health
from tests.web.conftest import EmptyEngine


class SlowEngine(EmptyEngine):
    """Counts how often it is asked; answers when `answer` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.times_asked = 0
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    @override
    async def engine(self) -> EngineInfo:
        self.times_asked += 1
        self.asked.set()
        await self.answer.wait()
        return await super().engine()


async def test_a_healthy_process_says_ok_without_sign_in(async_client, transactional_db):
    runtime().supervisor_seen()
    answer = await async_client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "database": "ok",
        "docker": "ok",
        "supervisor": "ok",
    }


async def test_a_process_without_supervisor_is_not_ill(async_client, transactional_db):
    answer = await async_client.get("/healthz")
    assert (answer.status_code, answer.json()["supervisor"]) == (200, "off")


async def test_a_missing_engine_is_named_but_not_described(async_client, engine, transactional_db):
    engine.is_away = True
    answer = await async_client.get("/healthz")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["docker"]) == ("degraded", "failed")
    assert b"secret-place" not in answer.content


class TestManyProbes:
    @pytest.fixture
    def engine(self) -> SlowEngine:
        """Instead of the engine that answers at once."""
        return SlowEngine()

    async def test_who_asks_at_the_same_time_shares_one_question(
        self, async_client: AsyncClient, engine: SlowEngine, transactional_db: None
    ) -> None:
        probes = [asyncio.create_task(async_client.get("/healthz")) for _ in range(20)]
        await engine.asked.wait()
        await asyncio.sleep(0.1)
        engine.answer.set()
        answers = await asyncio.gather(*probes)
        assert {answer.status_code for answer in answers} == {200}
        assert engine.times_asked == 1

    async def test_a_fresh_answer_is_given_again_and_an_old_one_is_not(
        self,
        async_client: AsyncClient,
        engine: SlowEngine,
        transactional_db: None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        engine.answer.set()
        assert (await async_client.get("/healthz")).status_code == 200
        engine.is_away = True
        assert (await async_client.get("/healthz")).status_code == 200
        assert engine.times_asked == 1
        monkeypatch.setattr(health, "REPORT_AGE_S", 0.0)
        assert (await async_client.get("/healthz")).status_code == 503
        assert engine.times_asked == 2

    async def test_a_probe_that_gives_up_does_not_break_the_others(
        self, async_client: AsyncClient, engine: SlowEngine, transactional_db: None
    ) -> None:
        leaving = asyncio.create_task(async_client.get("/healthz"))
        await engine.asked.wait()
        staying = asyncio.create_task(async_client.get("/healthz"))
        await asyncio.sleep(0.1)
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        engine.answer.set()
        assert (await staying).status_code == 200
        assert engine.times_asked == 1
