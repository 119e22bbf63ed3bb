"""Commands in a session's container that no model asked for: they are logged like any other."""

from collections.abc import Awaitable, Callable, Mapping

from typing_extensions import override

from sessions.agent.stop import StopSignal
from sessions.agent.tools.base import Connected, RecordedCall, Recorder, ToolContext
from sessions.errors import ContainerLostError
from sessions.events.types import CallEnded, EventBody, Output, OutputDropped
from sessions.models import ContainerState, Session
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.limits import Limits
from sessions.sandbox.setup import Setup

Hear = Callable[[Output | OutputDropped], Awaitable[None]]


class HeardRecorder(Recorder):
    """Records a call, and lets somebody hear what is recorded. Who hears slowly slows the call."""

    def __init__(self, recorder: Recorder, hear: Hear) -> None:
        self._recorder = recorder
        self._hear = hear
        self.ended: CallEnded | None = None

    @override
    async def record(self, *bodies: EventBody) -> None:
        await self._recorder.record(*bodies)
        for body in bodies:
            if isinstance(body, CallEnded):
                self.ended = body
            elif isinstance(body, Output | OutputDropped):
                await self._hear(body)

    @override
    async def flush(self) -> None:
        await self._recorder.flush()


def call_context(
    session: Session,
    sandboxes: Sandboxes,
    recorder: Recorder,
    stop: StopSignal,
    *,
    container_id: str,
    recorded: Mapping[str, RecordedCall] | None = None,
) -> ToolContext:
    """For commands in that very container, which is made by none of them."""

    async def connect() -> Connected:
        if not container_id:
            raise ContainerLostError("The container went away just now. Try again.")
        return Connected(await sandboxes.reconnect(session, container_id), container_id)

    async def discard(reason: str) -> None:
        await sandboxes.discard(session, ContainerState.DISCONNECTED, reason)

    return ToolContext(
        recorder=recorder,
        connect=connect,
        reconnect=lambda name: sandboxes.reconnect(session, name),
        discard=discard,
        find_shell=lambda: sandboxes.shell(session),
        limits=Limits.from_json(session.limits),
        stop=stop,
        setup=Setup.from_json(session.setup),
        recorded=recorded or {},
    )
