"""The host's end of a folder watch: lines of JSON both ways, and the guest's checked."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, get_args

from typing_extensions import override

from sessions.errors import SandboxUnavailableError
from sessions.sandbox.base import FolderWatch, WatchEvent, WatchKind
from sessions.sandbox.guest import wire
from sessions.sandbox.requests import Request

_MAX_LINE_BYTES = 64 * 1024
_MAX_REASON_CHARS = 64
_KINDS = frozenset(get_args(WatchKind))
_FIELDS = {"resync": 1, "unwatchable": 3}
"""Of a line, its kind included; two for all others."""


class GuestFolderWatch(FolderWatch):
    def __init__(self, request: Request) -> None:
        self._request = request

    @override
    async def add(self, path: str) -> None:
        await self._tell("add", path)

    @override
    async def remove(self, path: str) -> None:
        await self._tell("remove", path)

    async def _tell(self, verb: str, path: str) -> None:
        await self._request.write(json.dumps([verb, path]).encode() + b"\n")

    @override
    async def __aiter__(self) -> AsyncIterator[WatchEvent]:
        rest = b""
        async with aclosing(self._request.data()) as chunks:
            async for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _MAX_LINE_BYTES:
                    raise wire.WireError("news without an end")
                for line in lines:
                    yield _event(line)
        raise SandboxUnavailableError("The sandbox watches no more.")


def _event(line: bytes) -> WatchEvent:
    """Raises: wire.WireError."""
    try:
        fields: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise wire.WireError("news that are not JSON") from None
    if not isinstance(fields, list) or not all(isinstance(field, str) for field in fields):
        raise wire.WireError("news that are none")
    if not fields or fields[0] not in _KINDS or len(fields) != _FIELDS.get(fields[0], 2):
        raise wire.WireError("news of an unknown kind")
    kind, path, reason = (*fields, "", "")[:3]
    return WatchEvent(kind, path, reason[:_MAX_REASON_CHARS])
