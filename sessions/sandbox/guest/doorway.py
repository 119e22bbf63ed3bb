"""The Unix socket through which hosts come in: they hand over their two descriptors."""

# ruff: noqa: PTH103, PTH104, PTH108, PTH120, SIM105
# pathlib and contextlib would cost the guest memory.

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would import enum
import _socket
import os
from struct import Struct

from sessions.sandbox.guest.connect import KILL
from sessions.sandbox.guest.loop import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sessions.sandbox.guest.link import Link
    from sessions.sandbox.guest.loop import Loop

_CREDENTIALS = Struct("iii")
_DESCRIPTORS = Struct("ii")
_HANDOVER_S = 5.0


class Doorway:
    def __init__(self, loop: Loop, path: str, admit: Callable[[int, int], Link]) -> None:
        self._loop = loop
        self._path = path
        self._admit = admit
        self._visitors: dict[Link, _socket.socket] = {}
        self._waiting: dict[Link, int] = {}
        """Process descriptors of visitors that are to be killed at the end."""
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._socket.setblocking(False)
        mask = os.umask(0o177)
        self._socket.bind(path + ".new")
        os.umask(mask)
        self._socket.listen(64)
        os.rename(path + ".new", path)  # whoever sees it can connect
        loop.watch(self._socket.fileno(), READ, self._on_visitor)

    def _unlink(self) -> None:
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass

    def close(self) -> None:
        self._unlink()
        self._socket.close()

    def _on_visitor(self, _events: int) -> None:
        try:
            fd, _address = self._socket._accept()  # type: ignore[attr-defined]  # `socket` would import enum
        except OSError:
            return
        visitor = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
        visitor.setblocking(False)
        credentials = visitor.getsockopt(
            _socket.SOL_SOCKET, _socket.SO_PEERCRED, _CREDENTIALS.size
        )
        uid = _CREDENTIALS.unpack(credentials)[1]
        if uid not in (0, os.getuid()):
            visitor.close()
            return
        patience = self._loop.call_later(_HANDOVER_S, lambda: self._turn_away(visitor))

        def on_handover(_events: int) -> None:
            patience.cancel()
            self._loop.unwatch(visitor.fileno())
            self._receive(visitor)

        self._loop.watch(fd, READ, on_handover)

    def _turn_away(self, visitor: _socket.socket) -> None:
        self._loop.unwatch(visitor.fileno())
        visitor.close()

    def _receive(self, visitor: _socket.socket) -> None:
        word, fds = _received(visitor)
        try:
            in_fd, out_fd = fds
            link = self._admit(in_fd, out_fd)
        except (ValueError, OSError):  # not two, or none that can be waited for
            for fd in fds:
                os.close(fd)
            visitor.close()
            return
        self._visitors[link] = visitor
        if word == KILL:
            self._waiting[link] = _open_pid(visitor)
        self._loop.watch(visitor.fileno(), READ, lambda _events: link.close())

    def link_closed(self, link: Link) -> None:
        """Hanging up is what ends the visitor, or else a kill."""
        pid_fd = self._waiting.pop(link, -1)
        if pid_fd >= 0:
            _kill(pid_fd)
        visitor = self._visitors.pop(link, None)
        if visitor is not None:
            self._turn_away(visitor)


def _credentials(visitor: _socket.socket) -> tuple[int, int, int]:
    """Process, user and group of whoever connected."""
    size = _CREDENTIALS.size
    return _CREDENTIALS.unpack(
        visitor.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, size)
    )  # fmt: skip


def _open_pid(visitor: _socket.socket) -> int:
    try:
        return os.pidfd_open(_credentials(visitor)[0])
    except OSError:
        return -1  # gone already


def _kill(pid_fd: int) -> None:
    try:
        _signal.pidfd_send_signal(pid_fd, _signal.SIGKILL)
    except OSError:
        pass  # gone already
    os.close(pid_fd)


def _received(visitor: _socket.socket) -> tuple[bytes, list[int]]:
    """The word that came with the descriptors, and these."""
    space = _socket.CMSG_SPACE(_DESCRIPTORS.size)
    try:
        word, controls, flags, _address = visitor.recvmsg(1, space, _socket.MSG_CMSG_CLOEXEC)
    except OSError:
        return b"", []
    fds: list[int] = []
    for level, kind, data in controls:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            count = len(data) // 4
            fds += Struct("i" * count).unpack(data[: count * 4])
    if flags & _socket.MSG_CTRUNC:  # there were more: the kernel kept them back
        for fd in fds:
            os.close(fd)
        return b"", []
    return word, fds
