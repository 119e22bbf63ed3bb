"""The service around the embedded model: its states, its process, its end."""

import asyncio
import sys
from pathlib import Path

import pytest

from sessions.errors import ModelNotReadyError
from sessions.providers.base import ModelRequest, UserMessage
from sessions.providers.local import LocalProvider
from sessions.providers.local_model import LocalModel, LocalModelConfig
from sessions.providers.local_server import LocalServerConfig


async def test_a_missing_file_is_named_and_the_status_says_failed(tmp_path: Path) -> None:
    model = LocalModel(LocalModelConfig(tmp_path, tmp_path / "none.gguf"))
    with pytest.raises(ModelNotReadyError, match=r"none\.gguf") as caught:
        await model.wait_ready()
    assert "BERTH_LOCAL_MODEL" in caught.value.hint
    assert model.status().state == "failed"
    assert "BERTH_LOCAL_MODEL" in model.status().message
    await model.aclose()


async def test_a_file_that_is_no_model_fails_after_a_few_tries(tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("This is not a model.")
    model = LocalModel(LocalModelConfig(tmp_path, path))
    provider = LocalProvider(model, "small")
    with pytest.raises(ModelNotReadyError, match="keeps ending"):
        await anext(provider.stream(ModelRequest("", [UserMessage("hi")], [])))
    await model.aclose()


async def test_closing_early_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("This is not a model.")
    model = LocalModel(LocalModelConfig(tmp_path, path))
    await model.ensure_started()
    while model.status().message:  # noqa: ASYNC110 - until it is past "not started yet"
        await asyncio.sleep(0.01)
    await model.aclose()
    assert [task.get_name() for task in asyncio.all_tasks()].count("local model") == 0


@pytest.mark.slow
async def test_the_process_ends_with_its_input() -> None:
    code = (
        "import sys, threading\n"
        "from sessions.providers import local_server\n"
        "local_server.start = lambda config: threading.Event().wait()\n"
        "local_server.main()\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(LocalServerConfig("none", "key").to_line().encode())
    await process.stdin.drain()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.wait(), 1)
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 60) == 0
