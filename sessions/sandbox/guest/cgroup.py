"""What the kernel counts for this container, from cgroup v1 or v2 files; None where it is silent."""

# ruff: noqa: PTH110, PTH112, PTH123
# pathlib and contextlib would cost the guest memory.

from __future__ import annotations

import os

_ROOT = "/sys/fs/cgroup"
_UNLIMITED = 1 << 60
"""Version 1 says "no limit" by a number near 2**63."""


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb", 0) as file:
            return file.read(65536)
    except OSError:
        return None


def _number(path: str) -> int | None:
    text = _read(path)
    if text is None or not text.strip().isdigit():
        return None
    value = int(text)
    return value if value < _UNLIMITED else None


def _keyed(path: str, key: bytes) -> int | None:
    for line in (_read(path) or b"").splitlines():
        name, _space, value = line.partition(b" ")
        if name == key and value.strip().isdigit():
            return int(value)
    return None


class Cgroup:
    def __init__(self) -> None:
        self._is_v2 = os.path.exists(_ROOT + "/cgroup.controllers")
        own = _own_paths()
        if self._is_v2:
            base = _existing(_ROOT, own.get(b"", ""))
            self._memory = self._pids = self._cpu = base
        else:
            self._memory = _existing(_ROOT + "/memory", own.get(b"memory", ""))
            self._pids = _existing(_ROOT + "/pids", own.get(b"pids", ""))
            self._cpu = _existing(_ROOT + "/cpuacct", own.get(b"cpuacct", ""))

    def oom_kills(self) -> int:
        """How many processes were killed for memory since the container started."""
        name = "/memory.events" if self._is_v2 else "/memory.oom_control"
        return _keyed(self._memory + name, b"oom_kill") or 0

    def memory_limit(self) -> int | None:
        name = "/memory.max" if self._is_v2 else "/memory.limit_in_bytes"
        return _number(self._memory + name)

    def memory_peak(self) -> int | None:
        name = "/memory.peak" if self._is_v2 else "/memory.max_usage_in_bytes"
        return _number(self._memory + name)

    def figures(self) -> dict[str, int | float | None]:
        memory = "/memory.current" if self._is_v2 else "/memory.usage_in_bytes"
        return {
            "memory_bytes": _number(self._memory + memory),
            "memory_limit_bytes": self.memory_limit(),
            "memory_peak_bytes": self.memory_peak(),
            "cpu_seconds": self._cpu_seconds(),
            "pids": _number(self._pids + "/pids.current"),
            "pids_limit": _number(self._pids + "/pids.max"),
        }

    def _cpu_seconds(self) -> float | None:
        if self._is_v2:
            micros = _keyed(self._cpu + "/cpu.stat", b"usage_usec")
            return None if micros is None else micros / 1e6
        nanos = _number(self._cpu + "/cpuacct.usage")
        return None if nanos is None else nanos / 1e9


def _own_paths() -> dict[bytes, str]:
    """Controller name ("" for version 2) to the path of this process's group."""
    paths: dict[bytes, str] = {}
    for line in (_read("/proc/self/cgroup") or b"").splitlines():
        parts = line.split(b":", 2)
        if len(parts) == 3:
            for controller in parts[1].split(b","):
                paths[controller] = os.fsdecode(parts[2])
    return paths


def _existing(mount: str, path: str) -> str:
    """In a container the mount shows its own group at the root, whatever the path says."""
    full = (mount + path).rstrip("/")
    return full if path and os.path.isdir(full) else mount


def disk_figures(folder: str) -> tuple[int | None, int | None, bool]:
    """Free and total bytes of the file system of `folder`, and whether nothing more fits."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None, None, False
    free = disk.f_bavail * disk.f_frsize
    is_full = free < 65536 or (disk.f_files > 0 and disk.f_favail == 0)
    return free, disk.f_blocks * disk.f_frsize, is_full
