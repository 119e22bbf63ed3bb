"""The embedded model's real weights answer, and what they write runs."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessions.providers.local import LocalProvider
from sessions.providers.local_model import LOCAL_MODEL_NAME, LocalModel, LocalModelConfig
from tests.evaluation.run_task import run_task
from tests.evaluation.tuning_tasks import TUNING_TASKS
from tests.sandbox.child_backend import ChildBackend

pytestmark = [pytest.mark.model, pytest.mark.timeout(1800)]


@pytest.fixture
async def local_model() -> AsyncIterator[LocalModel]:
    path = os.environ.get("BERTH_LOCAL_MODEL")
    cache = Path(os.environ.get("BERTH_CACHE") or Path.home() / ".cache" / "berth")
    model = LocalModel(LocalModelConfig(cache, Path(path) if path else None))
    yield model
    await model.aclose()


async def test_a_task_ends_with_a_program_that_ran(local_model: LocalModel) -> None:
    backend = ChildBackend()
    provider = LocalProvider(local_model, LOCAL_MODEL_NAME)
    (task,) = [task for task in TUNING_TASKS if task.name == "binary_search"]
    outcome = await run_task(task, provider=provider, backend=backend, image="child")
    sys.stdout.write(outcome.transcript)
    assert outcome.has_passed, outcome.failure
    assert local_model.status().state == "ready"
    await backend.close()
