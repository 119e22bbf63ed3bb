"""A live connection to one guest: what a session does with its container."""

import dataclasses
from typing import Any

from typing_extensions import override

from sessions.sandbox.base import DuplexStream, Exec, ExecRequest, Sandbox, Usage
from sessions.sandbox.connection import Connection
from sessions.sandbox.guest import wire
from sessions.sandbox.remote_exec import RemoteExec
from sessions.sandbox.requests import Request
from sessions.sandbox.sandbox_files import SandboxFiles


class GuestChannel(SandboxFiles, Sandbox):
    """The host's end of docs/guest-protocol.md. Made by `open_channel`."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)

    @property
    @override
    def is_open(self) -> bool:
        return self._connection.is_open

    @property
    @override
    def is_in_use(self) -> bool:
        return self._connection.is_in_use

    @override
    async def exec(self, request: ExecRequest) -> Exec:
        return RemoteExec(self._connection, request)

    @override
    async def usage(self, *, with_programs: bool = False) -> Usage:
        wanted = {"programs": True} if with_programs else {}
        async with Request(self._connection, "usage", **wanted) as request:
            request.is_background = True
            figures = await request.result()
            names = [field.name for field in dataclasses.fields(Usage)]
            return Usage(**{name: _figure(figures.get(name)) for name in names})

    @override
    async def is_foreground_busy(self, exec_id: str) -> bool:
        async with Request(self._connection, "foreground", exec_id=exec_id) as request:
            request.is_background = True
            busy = (await request.result()).get("busy")
            if not isinstance(busy, bool):
                raise wire.WireError("neither busy nor not")
            return busy

    @override
    async def set_limits(self, *, disk_bytes: int | None) -> None:
        async with Request(self._connection, "set_limits", disk_bytes=disk_bytes) as request:
            await request.result()

    @override
    async def close(self) -> None:
        await self._connection.close()


async def open_channel(stream: DuplexStream) -> GuestChannel:
    """Greet the guest at the other end of `stream`, which the channel then owns.

    Raises: SandboxUnavailableError, ProtocolError. `stream` is closed then.
    """
    connection = Connection(stream)
    await connection.start()
    return GuestChannel(connection)


def _figure(value: Any) -> Any:
    """A number that the kernel could have told, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wire.WireError("a figure that is none")
    if not 0 <= value <= wire.MAX_OFFSET:
        raise wire.WireError("a figure out of range")
    return value
