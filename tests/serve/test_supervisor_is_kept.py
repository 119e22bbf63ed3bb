import asyncio
import logging
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from sessions.runtime import lifecycle
from sessions.runtime.process import Runtime
from sessions.runtime.wiring import runtime, use_runtime

UNREACHABLE_REDIS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]},
    }
}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def process(settings: Any) -> Iterator[Runtime]:
    """This process's runtime, which owns nothing on any engine and loads no model."""
    settings.BERTH_INSTALLATION_ID = f"test-{uuid.uuid4().hex[:8]}"
    settings.BERTH_MODEL = "scripted"
    use_runtime(None)
    yield runtime()
    use_runtime(None)


async def wait_for(text: str, caplog: pytest.LogCaptureFixture) -> None:
    deadline = time.monotonic() + 30
    for _ in range(600):
        if text in caplog.text or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.05)
    assert text in caplog.text


async def test_supervisor_that_fails_is_logged_and_started_again(
    process: Runtime,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifecycle, "FIRST_BACKOFF_S", 0.1)
    working = settings.CHANNEL_LAYERS
    settings.CHANNEL_LAYERS = UNREACHABLE_REDIS
    caplog.set_level(logging.ERROR, logger="sessions.runtime.lifecycle")
    async with lifecycle.agents(process, max_running_turns=1):
        await wait_for("the supervisor failed; it starts again", caplog)
        settings.CHANNEL_LAYERS = working
        before = process._supervisor_seen_at
        for _ in range(100):
            if process._supervisor_seen_at != before:
                break
            await asyncio.sleep(0.1)
        assert process._supervisor_seen_at != before, "it made no pass after the fault was gone"
    await process.aclose()


async def test_silence_of_the_supervisor_is_a_fault_from_the_start(process: Runtime) -> None:
    assert (await process.health())["supervisor"] == "off"
    async with lifecycle.agents(process, max_running_turns=1):
        assert (await process.health())["supervisor"] == "ok"
    await process.aclose()
