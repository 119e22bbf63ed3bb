"""Names for processes, so that others can tell whether the one that holds something still lives.

Of a process in sight, one of the same kernel's processes that has a number here, that is certain
at once. Any other is known by the beat of its row (keeper.py), and one without a row by nothing.
"""

import datetime as dt
import hashlib
import os
import socket
import uuid
from functools import cache
from pathlib import Path

from django.utils import timezone

from sessions.models import Process

BEAT_S = 5.0
SILENT_S = 60.0
"""Without a beat for so long a process that is not in sight is taken for dead."""
UNKNOWN_S = 3600.0
_HOST_CHARACTERS = 20
_PARTS = 5


def lease_name() -> str:
    """A new name for this process: `host:pid:start:place:random`."""
    return _name(os.getpid(), _started_at(os.getpid()))


def _name(pid: int, started_at: str) -> str:
    host = socket.gethostname().replace(":", "-")[:_HOST_CHARACTERS]
    return f"{host}:{pid}:{started_at}:{_place()}:{uuid.uuid4().hex[:8]}"


async def is_holder_dead(lease: str, *, since: dt.datetime | None = None) -> bool:
    """Whether nobody is left to go on with what was taken up at `since`. Where nothing is known of
    the holder, that is so after `UNKNOWN_S`; without `since` never."""
    now = timezone.now()
    parts = lease.split(":")
    if len(parts) == _PARTS and parts[3] == _place() and parts[1].isdigit():
        return _started_at(int(parts[1])) != parts[2]
    process = await Process.objects.filter(lease=lease).afirst()
    if process is not None:
        return process.seen_at < now - dt.timedelta(seconds=SILENT_S)
    return since is not None and since < now - dt.timedelta(seconds=UNKNOWN_S)


def _started_at(pid: int) -> str:
    """Clock ticks between the kernel's start and the process's, empty when there is none: numbers
    are given out again."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # proc_pid_stat(5): after the name, which may hold anything, comes the third field.
    return status.rpartition(")")[2].split()[22 - 3]


@cache
def _place() -> str:
    """Where a process has its number: this start of the kernel, this PID namespace."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text()
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    return hashlib.sha256(f"{boot_id} {namespace}".encode()).hexdigest()[:8]
