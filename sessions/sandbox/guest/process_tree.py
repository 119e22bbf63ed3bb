"""Find and kill every process that a command left, however it tried to get away.

Each command carries a supplementary group id of its own. Children inherit it, and no process can
drop it without CAP_SETGID, so neither a second fork nor a new session hides one. Children are
followed by parent as well, for commands that may change their groups (root, or tests without).
"""

# ruff: noqa: PTH123, PTH208, SIM105
# pathlib and contextlib would cost the guest memory.

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would import enum
import os

FIRST_TAG = 0x40000000
_FIRST_TAG_IN_USER_NAMESPACE = 40_000
_TAGS_IN_USER_NAMESPACE = 20_000


class Tags:
    """Hands out group ids that nothing else uses."""

    def __init__(self) -> None:
        self._next = 0
        self._first, self._count = FIRST_TAG, 1 << 29
        if not _is_mapped(FIRST_TAG + self._count):
            self._first = _FIRST_TAG_IN_USER_NAMESPACE
            self._count = _TAGS_IN_USER_NAMESPACE
        elif os.getpid() != 1:
            # Guests that share a process namespace, as in tests, keep apart.
            self._count = 1 << 12
            self._first += os.getpid() % (1 << 16) * self._count

    def take(self) -> range:
        tag = self._first + self._next % self._count
        self._next += 1
        return range(tag, tag + 1)

    def taken(self) -> range:
        return range(self._first, self._first + min(self._next, self._count))


def _is_mapped(gid: int) -> bool:
    try:
        with open("/proc/self/gid_map", "rb") as file:
            rows = [line.split() for line in file]
    except OSError:
        return True
    return any(int(first) <= gid < int(first) + int(count) for first, _outside, count in rows)


def members(tags: range, root: int) -> set[int]:
    """Living processes with such a group id, or descending from `root` or from one of them."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        status = process_status(name)
        if status is None:
            continue
        pid, (parent, groups) = int(name), status
        parents[pid] = parent
        if pid == root or any(group in tags for group in groups):
            found.add(pid)
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in found}
        grown = not children <= found
        found |= children
    found.discard(os.getpid())
    return found


def sizes(tags: range) -> dict[int, int]:
    """How many living processes carry each of these group ids; those that none does are left out."""
    found: dict[int, int] = {}
    for name in os.listdir("/proc"):
        status = process_status(name) if name.isdigit() else None
        for group in status[1] if status is not None else ():
            if group in tags:
                found[group] = found.get(group, 0) + 1
    return found


def process_status(name: str) -> tuple[int, list[int]] | None:
    """Parent and groups of a process; None for one that is gone or only waits to be reaped."""
    try:
        with open("/proc/" + name + "/status", "rb", 0) as file:
            text = file.read()
    except OSError:
        return None
    if _field(text, b"\nState:")[:1] in (b"Z", b"X"):
        return None
    parent = int(_field(text, b"\nPPid:") or b"0")
    return parent, [int(group) for group in _field(text, b"\nGroups:").split()]


def _field(text: bytes, label: bytes) -> bytes:
    _before, _label, rest = text.partition(label)
    return rest.partition(b"\n")[0].strip()


def kill_tree(tags: range, root: int, rounds: int = 8) -> bool:
    """Freeze, then kill, until a look finds nobody. False: somebody is left, call again.

    Freezing first means that a process which forks faster than we look cannot outrun us.
    """
    frozen: set[int] = set()
    for _round in range(rounds):
        alive = members(tags, root)
        if not alive:
            return True
        fresh = alive - frozen
        for pid in fresh:
            _send(pid, _signal.SIGSTOP)
        frozen |= fresh
        if not fresh:
            for pid in alive:
                _send(pid, _signal.SIGKILL)
    return False


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass  # gone already
