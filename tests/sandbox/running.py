"""Run a command to its end, as a caller that stores everything does."""

import uuid
from dataclasses import dataclass
from typing import Any

from sessions.events.types import Ending
from sessions.sandbox.base import Exec, ExecEnded, ExecOutput, ExecRequest, Sandbox


@dataclass
class Outcome:
    stdout: bytes
    stderr: bytes
    end: ExecEnded

    @property
    def ending(self) -> Ending:
        return self.end.ending


def shell(script: str, **options: Any) -> ExecRequest:
    return command("/bin/sh", "-c", script, **options)


def command(*argv: str, **options: Any) -> ExecRequest:
    return ExecRequest(exec_id=f"call-{uuid.uuid4().hex}", argv=argv, **options)


async def run(sandbox: Sandbox, request: ExecRequest) -> Outcome:
    return await follow(await sandbox.exec(request))


async def follow(execution: Exec) -> Outcome:
    """Acknowledges what it got, as the guest otherwise stops at a full spool."""
    outputs: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    end: ExecEnded | None = None
    async for item in execution:
        assert end is None, "nothing comes after the end"
        if isinstance(item, ExecOutput):
            outputs[item.stream].append(item.data)
            await execution.ack(item.stream, item.offset + len(item.data))
        else:
            end = item
    assert end is not None
    return Outcome(b"".join(outputs["stdout"]), b"".join(outputs["stderr"]), end)


async def first_line(execution: Exec) -> bytes:
    """Output until a line is complete; the rest is left to be iterated."""
    seen = b""
    while b"\n" not in seen:
        item = await anext(aiter(execution))
        assert isinstance(item, ExecOutput), item
        seen += item.data
    return seen
