"""Stop pressed in a session until nothing of the command's tree is alive; the same for a timeout."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import psutil
from websockets.asyncio.client import ClientConnection

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, percentile
from tests.serve.berth_client import Seen, turn_has_ended, watch

TARGET_P99_MS = 200.0
SLEEPERS = ("1001", "1002", "1003", "1004", "1005")
AWAITED = ("1001", "1002", "1004")
"""Whose parents are shells of the tree, as these wait for them."""
# A child, a grandchild, one that left the session, one that ignores the polite signals, and a
# daemon: forked twice, in a session of its own, with nothing of the command's open.
TREE = (
    "sleep 1001.{tag} & (sleep 1002.{tag} & wait) & setsid sleep 1003.{tag} & "
    "(trap '' TERM INT HUP; sleep 1004.{tag} & wait) & "
    "setsid sh -c 'sleep 1005.{tag} </dev/null >/dev/null 2>&1 &' & wait"
)
FLOOR_EVERY = 4
TIMEOUT_S = 1
UP_S = 10.0


def sleepers(tag: str) -> list[psutil.Process]:
    """Those of the tree with this tag that run by now, wherever they were moved to."""
    wanted = {f"{number}.{tag}" for number in SLEEPERS}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == "sleep" and set(process.cmdline()[1:]) & wanted:
                found.append(process)
    return found


def until_up(tag: str) -> list[psutil.Process]:
    """The whole tree: those that sleep, and the shells that wait for them."""
    deadline = time.monotonic() + UP_S
    while len(found := sleepers(tag)) < len(SLEEPERS):
        assert time.monotonic() < deadline, f"{len(found)} of the tree came up"
        time.sleep(0.01)
    shells = {one.parent() for one in found if one.cmdline()[1].startswith(AWAITED)}
    return [*found, *(shell for shell in shells if shell is not None)]


def until_dead(processes: list[psutil.Process]) -> float:
    """The time at which the last of them was gone."""
    while any(is_alive(process) for process in processes):
        time.sleep(0.001)
    return now()


def now() -> float:
    """By the clock that the kernel has for the start of a process."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def started(process: psutil.Process) -> float:
    """When it was forked, or up to a tick of 10 ms before."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def new_tree() -> tuple[str, str]:
    """Its tag and its script."""
    tag = str(uuid.uuid4().int)[:12]
    return tag, TREE.format(tag=tag)


def killed_on_host() -> float:
    tag, script = new_tree()
    process = subprocess.Popen(
        ["bash", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    tree = until_up(tag)
    start = now()
    for member in tree:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member.pid, signal.SIGKILL)
    process.wait()
    return (until_dead(tree) - start) * 1000


class Trees:
    """A session whose turns are trees, each watched from the event at which the last one ended."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._turn = 1
        self._after = 0

    async def begin(self, command_timeout_s: int) -> "Trees":
        self._client = await self._bench.client()
        self._session = await asyncio.to_thread(
            self._client.create_session,
            "```bash\ntrue\n```",
            command_timeout_s=str(command_timeout_s),
        )
        async with self._client.socket(self._session) as socket:
            await self._watch_to_end(socket)
        return self

    async def end(self) -> None:
        await asyncio.to_thread(self._client.delete, self._session)

    async def _watch_to_end(self, socket: ClientConnection) -> Seen:
        seen = await watch(socket, turn_has_ended(self._turn), after=self._after)
        self._after = seen.seqs[-1]
        return seen

    async def _submit(self) -> str:
        tag, script = new_tree()
        self._turn += 1
        await asyncio.to_thread(self._client.submit, self._session, f"```bash\n{script}\n```")
        return tag

    async def stopped(self) -> float:
        """Milliseconds from the press to the end of the last of the tree."""
        async with self._client.socket(self._session) as socket:
            tree = await asyncio.to_thread(until_up, await self._submit())
            start = now()
            _, end = await asyncio.gather(
                asyncio.to_thread(self._client.stop, self._session),
                asyncio.to_thread(until_dead, tree),
            )
            assert ending_of(await self._watch_to_end(socket)) == "stopped"
        return (end - start) * 1000

    async def timed_out(self) -> float:
        """Milliseconds from the limit's passing, counted from when the first of it was forked."""
        async with self._client.socket(self._session) as socket:
            tree = await asyncio.to_thread(until_up, await self._submit())
            start = min(map(started, tree))
            end = await asyncio.to_thread(until_dead, tree)
            assert ending_of(await self._watch_to_end(socket)) == "timeout"
        return (end - start - TIMEOUT_S) * 1000


def ending_of(seen: Seen) -> str:
    (ended,) = (event for event in seen.events if event["type"] == "call.ended")
    return str(ended["ending"]["kind"])


async def measure(bench: Bench) -> Measurement:
    ours: list[float] = []
    floor: list[float] = []
    trees = await Trees(bench).begin(command_timeout_s=300)
    for number in range(bench.count(120, quick=12)):
        ours.append(await trees.stopped())
        if number % FLOOR_EVERY == 0:
            floor.append(await asyncio.to_thread(killed_on_host))
    await trees.end()
    timed = await Trees(bench).begin(command_timeout_s=TIMEOUT_S)
    late = [await timed.timed_out() for _ in range(bench.count(100, quick=4))]
    await timed.end()
    return Measurement(
        unit="ms",
        ours=ours,
        floor="the same tree on the host, SIGKILL to each process",
        floor_samples=floor,
        target=f"≤ {TARGET_P99_MS:g} ms p99",
        is_met=max(percentile(ours, 0.99), percentile(late, 0.99)) <= TARGET_P99_MS,
        note=(
            "from the HTTP request on; the tree has a setsid child, one that ignores signals and "
            "a daemon that was forked twice. After a timeout's limit, to a tick of 10 ms: "
            f"{percentile(late, 0.5):.0f} ms p50, {percentile(late, 0.99):.0f} ms p99 of {len(late)}"
        ),
    )
