"""How much a pipe holds."""

# ruff: noqa: SIM105
# contextlib would cost the guest memory.

from __future__ import annotations

from fcntl import fcntl

_F_SETPIPE_SZ = 1031


def enlarge(pipe: int, size: int) -> None:
    try:
        fcntl(pipe, _F_SETPIPE_SZ, size)
    except OSError:
        pass  # no pipe, or more than this user may have: it is slower, no more
