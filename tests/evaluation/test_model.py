"""The embedded model's real weights answer, and what they write runs.

How many tasks a model solves is the evaluation's to say: its words differ from run to run, so this
test asks for the least that any model can do.
"""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sessions.providers.local import LocalProvider
from sessions.providers.local_model import LOCAL_MODEL_NAME, LocalModel, LocalModelConfig
from tests.evaluation.run_task import run_task
from tests.evaluation.task import EvaluationTask, Workspace
from tests.sandbox.child_backend import ChildBackend

pytestmark = [pytest.mark.model, pytest.mark.timeout(1800)]


@pytest.fixture
async def local_model() -> AsyncIterator[LocalModel]:
    path = os.environ.get("BERTH_LOCAL_MODEL")
    cache = Path(os.environ.get("BERTH_CACHE") or Path.home() / ".cache" / "berth")
    model = LocalModel(LocalModelConfig(cache, Path(path) if path else None))
    yield model
    await model.aclose()


async def _prints_the_sum(workspace: Workspace) -> None:
    await workspace.must_print("python3 total.py", "42")


async def test_a_task_ends_with_a_program_that_ran(local_model: LocalModel) -> None:
    backend = ChildBackend()
    provider = LocalProvider(local_model, LOCAL_MODEL_NAME)
    task = EvaluationTask(
        "total", "Write total.py, a program that prints 40 + 2, and run it.", _prints_the_sum
    )
    outcome = await run_task(task, provider=provider, backend=backend, image="child")
    sys.stdout.write(outcome.transcript)
    assert outcome.has_passed, outcome.failure
    assert outcome.end == "completed"
    assert outcome.tokens > 0
    assert "--- $ python3 total.py\n42\n" in outcome.transcript
    assert local_model.status().state == "ready"
    await backend.close()
