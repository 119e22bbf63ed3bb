"""A guest that was taken over, through the whole stack: the call ends honestly, the session lives."""

import pytest
from django.contrib.auth.models import User
from typing_extensions import override

from sessions import services
from sessions.agent.tools import execution
from sessions.events.types import CallEnded, CallStarted, ToolResult
from sessions.models import Session
from sessions.runtime import sandboxes
from sessions.runtime.process import Runtime
from sessions.runtime.supervisor import Supervisor
from sessions.sandbox import connection
from sessions.sandbox.base import DuplexStream
from sessions.sandbox.channel import open_channel
from sessions.sandbox.limits import Limits
from tests.runtime.conftest import Log
from tests.runtime.test_turns import is_end, is_end_of, output_of, start
from tests.sandbox.child_backend import ChildBackend
from tests.sandbox.hostile_guest import ActingStream
from tests.sandbox.hostile_minds import AT_COMMAND, AT_GREETING, Mind

pytestmark = pytest.mark.slow

TASK = "```bash\necho first\n```\n---\n```bash\necho second\n```"


class TakenOver(ChildBackend):
    """The guest of the first container does as `mind` says; all later ones are real."""

    def __init__(self) -> None:
        super().__init__()
        self.mind: Mind | None = None
        self.first = ""

    @override
    async def open(self, container_id: str) -> DuplexStream:
        self.guest(container_id)
        self.first = self.first or container_id
        if self.mind is not None and container_id == self.first:
            return ActingStream(self.mind)
        return await super().open(container_id)


@pytest.fixture
def backend(sandbox_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> TakenOver:
    monkeypatch.setattr(connection, "HELLO_TIMEOUT_S", 0.3)
    monkeypatch.setattr(execution, "OVERDUE_S", 0.5)
    monkeypatch.setattr(execution, "STOP_OVERDUE_S", 0.3)
    monkeypatch.setattr(sandboxes, "OPEN_WAIT_S", 0.05)
    monkeypatch.setattr(sandboxes, "OPEN_PATIENCE_S", 0.2)
    backend = TakenOver()
    sandbox_runtime.sandboxes = sandboxes.Sandboxes(
        backend, open_channel, archives=sandbox_runtime.sandboxes.archives
    )
    return backend


async def check_usable(session: Session, backend: TakenOver, *, is_replaced: bool = True) -> None:
    """The next message is answered by a container that nobody has taken over."""
    await services.turn_submit(session=session, text="```bash\necho alive\n```")
    end = await Log(session).wait_for(is_end_of(2))
    assert end.reason == "completed", end
    assert (await Log(session).of(CallEnded))[-1].ending == {"kind": "exit", "exit_code": 0}
    if is_replaced:
        assert await output_of(session) == b"alive\n"
        row = await Session.objects.aget(id=session.id)
        assert row.container_id != backend.first
        assert [one.container_id for one in await backend.containers()] == [row.container_id]


@pytest.mark.parametrize("name", AT_GREETING)
async def test_a_guest_that_does_not_greet_is_replaced(
    backend: TakenOver, supervisor: Supervisor, alice: User, name: str
) -> None:
    backend.mind = AT_GREETING[name]
    session = await start(alice, TASK)
    end = await Log(session).wait_for(is_end)
    if end.reason != "completed":
        assert end.reason == "failed"
        assert end.message.startswith("The sandbox")
    await check_usable(session, backend)


@pytest.mark.parametrize("name", AT_COMMAND)
async def test_a_lie_about_a_command_ends_that_command(
    backend: TakenOver, supervisor: Supervisor, alice: User, name: str
) -> None:
    backend.mind, kind = AT_COMMAND[name]
    session = await start(alice, TASK, Limits(command_timeout_s=0.7))
    end = await Log(session).wait_for(is_end, 30)
    assert end.reason == "completed", end
    first, second = await Log(session).of(CallEnded)
    assert first.ending["kind"] == kind
    told = (await Log(session).of(ToolResult))[0]
    assert kind == "exit" or kind.replace("_", " ") in str(told).replace("_", " "), told
    assert second.ending == {"kind": "exit", "exit_code": 0}
    await check_usable(session, backend, is_replaced=kind != "exit")


async def test_stop_ends_what_the_guest_will_not_kill(
    backend: TakenOver, supervisor: Supervisor, alice: User
) -> None:
    backend.mind = AT_COMMAND["unending frame"][0]
    session = await start(alice, TASK)
    await Log(session).wait_for(lambda body: isinstance(body, CallStarted))
    await services.turn_stop(session=session)
    end = await Log(session).wait_for(is_end)
    assert end.reason == "stopped"
    (call,) = await Log(session).of(CallEnded)
    assert call.ending == {"kind": "stopped", "signal": "SIGKILL"}
    await check_usable(session, backend)
