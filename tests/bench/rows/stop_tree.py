"""Stop pressed in a session until nothing of the command's tree is alive."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
import uuid

import psutil

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, percentile
from tests.bench.sandboxes import docker_cli
from tests.serve.berth_client import Seen, turn_has_ended, watch

TARGET_P99_MS = 200.0
# A child, a grandchild, one that left the session, and one that ignores the polite signals.
TREE = (
    "sleep 1001 & (sleep 1002 & wait) & setsid sleep 1003 & "
    "(trap '' TERM INT HUP; sleep 1004 & wait) & sleep 0.2; echo ready; wait"
)
SLEEPERS = 4


def sleepers(root: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(root).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.name() == "sleep" and child.cmdline()[1:2] > ["1000"]:
                found.append(child)
    return found


def until_dead(processes: list[psutil.Process]) -> float:
    """The time at which the last of them was gone."""
    while any(is_alive(process) for process in processes):
        time.sleep(0.001)
    return time.perf_counter()


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def killed_on_host() -> float:
    process = subprocess.Popen(
        ["bash", "-c", TREE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    tree = sleepers(process.pid)
    start = time.perf_counter()
    for child in (*tree, psutil.Process(process.pid)):
        os.kill(child.pid, signal.SIGKILL)
    process.wait()
    end = until_dead(tree)
    process.stdout.close()
    return (end - start) * 1000


async def stopped(bench: Bench, session: uuid.UUID, init_pid: int, turn: int) -> float:
    client = await bench.client()
    await asyncio.to_thread(client.submit, session, f"```bash\n{TREE}\n```")

    def is_ready(seen: Seen) -> bool:
        return seen.text().count(b"ready") == turn - 1

    async with client.socket(session) as socket:
        await watch(socket, is_ready)
    tree = sleepers(init_pid)
    assert len(tree) == SLEEPERS, tree
    start = time.perf_counter()
    _, end = await asyncio.gather(
        asyncio.to_thread(client.stop, session), asyncio.to_thread(until_dead, tree)
    )
    took = (end - start) * 1000
    async with client.socket(session) as socket:
        await watch(socket, turn_has_ended(turn))
    return took


async def measure(bench: Bench) -> Measurement:
    client = await bench.client()
    session = await asyncio.to_thread(client.create_session, "```bash\ntrue\n```")
    async with client.socket(session) as socket:
        await watch(socket, turn_has_ended(1))
    container = await asyncio.to_thread(client.container, session)
    init_pid = int(await docker_cli("inspect", "--format", "{{.State.Pid}}", container))
    ours: list[float] = []
    floor: list[float] = []
    for turn in range(2, bench.count(20, quick=6) + 2):
        ours.append(await stopped(bench, session, init_pid, turn))
        floor.append(await asyncio.to_thread(killed_on_host))
    await asyncio.to_thread(client.delete, session)
    return Measurement(
        unit="ms",
        ours=ours,
        floor="the same tree on the host, SIGKILL to each process",
        floor_samples=floor,
        target=f"≤ {TARGET_P99_MS:g} ms p99",
        is_met=percentile(ours, 0.99) <= TARGET_P99_MS,
        note="from the HTTP request on; the tree has a setsid child and one that ignores signals",
    )
