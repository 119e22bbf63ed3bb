"""A task for a model, and how to tell from the workspace whether it was done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from sessions.sandbox.base import ExecEnded, ExecOutput, ExecRequest, Sandbox


@dataclass(frozen=True, slots=True)
class Finished:
    """A command of a check, after its end."""

    exit_code: int | None
    stdout: str
    stderr: str


class CheckFailed(Exception):  # noqa: N818  (the verdict on a task, not an error)
    """Why the workspace does not hold what was asked for."""


class Workspace:
    """What a check may look at: files, and what programs print when they are run again."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._runs = 0

    async def run(self, script: str) -> Finished:
        """Run `script` in the workspace with a POSIX shell."""
        self._runs += 1
        execution = await self._sandbox.exec(
            ExecRequest(
                exec_id=f"check-{self._runs}", argv=("/bin/sh", "-c", script), timeout_s=30
            )
        )
        output = {"stdout": b"", "stderr": b"", "pty": b""}
        async for item in execution:
            match item:
                case ExecOutput(stream, offset, data):
                    output[stream] += data
                    await execution.ack(stream, offset + len(data))
                case ExecEnded(ending):
                    return Finished(
                        ending.exit_code,
                        output["stdout"].decode("utf-8", "replace"),
                        output["stderr"].decode("utf-8", "replace"),
                    )
        raise AssertionError("an execution ends with its ending")

    async def python(self, script: str) -> Finished:
        """Run `script` with Python in the workspace, without leaving a file behind."""
        return await self.run(f"python3 - <<'END_OF_CHECK'\n{script}\nEND_OF_CHECK")

    async def must_print(self, script: str, expected: str) -> None:
        """Raises: CheckFailed unless the script succeeds and prints `expected` (words alone)."""
        done = await self.run(script)
        require(done.exit_code == 0, f"{script!r} ended with {done.exit_code}: {done.stderr}")
        require(
            done.stdout.split() == expected.split(), f"{script!r} printed {done.stdout[:300]!r}"
        )

    async def must_pass(self, script: str) -> None:
        """Raises: CheckFailed unless the Python script ends without an error."""
        done = await self.python(script)
        last_line = (done.stderr.strip().splitlines() or [""])[-1]
        require(done.exit_code == 0, last_line)

    async def text(self, path: str) -> str:
        done = await self.run(f"cat {path}")
        require(done.exit_code == 0, f"there is no file {path}")
        return done.stdout


def alone(program: str) -> str:
    """The beginning of a script that tries `program` in a folder without its files of data."""
    return f'd=$(mktemp -d) && cp {program} "$d" && cd "$d" && '


def require(is_met: bool, reason: str) -> None:
    if not is_met:
        raise CheckFailed(reason)


Check: TypeAlias = Callable[[Workspace], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class EvaluationTask:
    """`check` raises CheckFailed."""

    name: str
    prompt: str
    check: Check
