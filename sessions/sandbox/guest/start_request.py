"""What START asks for, checked."""

from __future__ import annotations

from sessions.sandbox.guest import wire
from sessions.sandbox.guest.source import RefusedError

MAX_WINDOW = 16 << 20
_MAX_ID = 128
_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_MAX_SECONDS = 1e9
_MAX_CELLS = 10_000
_MAX_USER_ID = 65_533


class StartRequest:
    def __init__(self, fields: dict[str, object]) -> None:
        """Raises: RefusedError with the field that is wrong."""
        self.exec_id = _exec_id(fields.get("exec_id"))
        self.attach_only = fields.get("attach_only") is True
        self.argv = _words(fields.get("argv", ()), "argv")
        self.cwd = _word(fields.get("cwd", "/workspace"), "cwd")
        self.env = _environment(fields.get("env", {}))
        self.timeout_s = _seconds(fields.get("timeout_s"))
        self.stdin = fields.get("stdin") is True
        self.keep_log = fields.get("keep_log") is True
        self.user = _user(fields.get("user"))
        pty = fields.get("pty")
        self.pty = None if pty is None else terminal_size(pty)
        self.window = _count(fields.get("window", MAX_WINDOW), "window", MAX_WINDOW)
        self.offsets = {
            wire.STDOUT: _count(fields.get("stdout_offset", 0), "stdout_offset", wire.MAX_OFFSET),
            wire.STDERR: _count(fields.get("stderr_offset", 0), "stderr_offset", wire.MAX_OFFSET),
            wire.PTY: _count(fields.get("pty_offset", 0), "pty_offset", wire.MAX_OFFSET),
        }
        if not self.argv and not self.attach_only:
            raise _bad("argv")


def _bad(field: str) -> RefusedError:
    return RefusedError("bad_request", "bad value for " + field)


def _exec_id(value: object) -> str:
    """Becomes a file name, so it is one."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_ID:
        raise _bad("exec_id")
    if value[0] == "." or not _ID_CHARACTERS.issuperset(value):
        raise _bad("exec_id")
    return value


def _word(value: object, field: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise _bad(field)
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _bad(field) from None
    return value


def _words(value: object, field: str) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise _bad(field)
    return [_word(word, field) for word in value]


def _environment(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _bad("env")
    pairs = {_word(name, "env"): _word(text, "env") for name, text in value.items()}
    if any(not name or "=" in name for name in pairs):
        raise _bad("env")
    return pairs


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _bad("timeout_s")
    if not 0 <= value <= _MAX_SECONDS:
        raise _bad("timeout_s")
    return value


def _count(value: object, field: str, largest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise _bad(field)
    return value


def _user(value: object) -> tuple[int, int] | None:
    """User and group; None for the workspace's."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _bad("user")
    uid, gid = value.get("uid"), value.get("gid")
    return _count(uid, "user", _MAX_USER_ID), _count(gid, "user", _MAX_USER_ID)


def terminal_size(value: object) -> tuple[int, int]:
    """Columns and rows. Raises: RefusedError."""
    if not isinstance(value, dict):
        raise _bad("pty")
    columns, rows = value.get("columns"), value.get("rows")
    return _count(columns, "pty", _MAX_CELLS), _count(rows, "pty", _MAX_CELLS)
