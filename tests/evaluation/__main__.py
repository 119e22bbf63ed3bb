"""`python -m tests.evaluation`: run the tasks with a real model and count what passes.

The embedded model is used unless OPENAI_API_KEY or OPENAI_BASE_URL names another (with `--model`).
Exit code 0 when at least `--at-least` tasks pass.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from sessions.providers.local_model import LocalModel, LocalModelConfig
from sessions.providers.registry import ProviderConfig, build_provider, choices
from sessions.sandbox.base import SandboxBackend
from sessions.sandbox.docker import DockerBackend
from tests.evaluation.run_task import Outcome, run_task
from tests.evaluation.task import EvaluationTask
from tests.evaluation.tasks import TASKS
from tests.evaluation.tuning_tasks import TUNING_TASKS
from tests.sandbox.child_backend import ChildBackend


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.evaluation", description=__doc__)
    parser.add_argument("names", nargs="*", help="run these tasks only")
    parser.add_argument("--tuning", action="store_true", help="the tasks the prompt is tuned on")
    parser.add_argument("--backend", choices=("docker", "child"), default="docker")
    parser.add_argument("--image", default="berth/sandbox")
    parser.add_argument("--model", default="")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=1, help="how often to run each task")
    parser.add_argument("--at-least", type=int, default=0)
    parser.add_argument("--transcripts", type=Path, help="folder to write transcripts to")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> list[Outcome]:
    config = ProviderConfig(
        models=[arguments.model] if arguments.model else (),
        openai_api_key=os.environ.get("OPENAI_API_KEY", ""),
        openai_base_url=os.environ.get("OPENAI_BASE_URL", ""),
    )
    cache = Path(os.environ.get("BERTH_CACHE") or Path.home() / ".cache" / "berth")
    path = os.environ.get("BERTH_LOCAL_MODEL")
    async with AsyncExitStack() as stack:
        local_model = LocalModel(
            LocalModelConfig(cache, Path(path) if path else None, threads=arguments.threads)
        )
        stack.push_async_callback(local_model.aclose)
        choice = choices(config)[0]
        provider = build_provider(config, choice.provider, choice.model, local_model)
        if choice.provider == "local":
            _say(f"{choice.label}: waiting until it is loaded")
            await local_model.wait_ready()
        backend: SandboxBackend = (
            DockerBackend(installation="evaluation")
            if arguments.backend == "docker"
            else ChildBackend()
        )
        stack.push_async_callback(backend.close)
        outcomes = []
        for task in _chosen(arguments) * arguments.runs:
            outcome = await run_task(
                task, provider=provider, backend=backend, image=arguments.image
            )
            outcomes.append(outcome)
            _tell(outcome, arguments.transcripts)
        return outcomes


def _chosen(arguments: argparse.Namespace) -> list[EvaluationTask]:
    tasks = TUNING_TASKS if arguments.tuning else TASKS
    return [task for task in tasks if not arguments.names or task.name in arguments.names]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _tell(outcome: Outcome, folder: Path | None) -> None:
    verdict = (
        "pass"
        if outcome.has_passed
        else f"FAIL ({outcome.failure.strip().splitlines()[-1][:120]})"
    )
    figures = f"{outcome.seconds:.0f} s, {outcome.steps} steps, {outcome.tokens:,} tokens"
    _say(f"{outcome.task:16} {verdict}; {figures}; {outcome.end}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{outcome.task}-{len(list(folder.glob(f'{outcome.task}-*')))}.txt"
        (folder / name).write_text(outcome.transcript)


def _summary(outcomes: Sequence[Outcome]) -> int:
    passed = sum(outcome.has_passed for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    _say(f"{passed} of {len(outcomes)} passed in {seconds:.0f} s")
    return passed


if __name__ == "__main__":
    _arguments_given = _arguments()
    _passed = _summary(asyncio.run(_run(_arguments_given)))
    sys.exit(0 if _passed >= _arguments_given.at_least else 1)
