"""Names for processes, so that others can tell whether the one that holds something still lives."""

import os
import socket
import uuid
from functools import cache

_HOST_CHARACTERS = 30


def lease_name() -> str:
    """A new name for this process on this host."""
    return f"{_host()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def is_holder_dead(lease: str) -> bool:
    """True only when the lease names a process of this host that is gone for certain."""
    host, _, rest = lease.partition(":")
    pid, _, _ = rest.partition(":")
    if host != _host() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@cache
def _host() -> str:
    return socket.gethostname()[:_HOST_CHARACTERS]
