"""1 GB printed by one session: the server's memory, the rate, and what a neighbour feels."""

import asyncio
import subprocess
import time
import uuid

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, percentile
from tests.bench.rows.output_to_socket import ages_ms, printing
from tests.bench.sandboxes import IMAGE
from tests.serve.berth_client import BerthClient, OutputPiece, turn_has_ended, watch

MEMORY_TARGET_MB = 64.0
NEIGHBOUR_TARGET = 2.0


def flooding(size: int) -> str:
    return f"head -c {size} /dev/zero | tr '\\0' x"


def attached_rate(size: int) -> float:
    """MB/s of the same flood through an attached container."""
    run = ["docker", "run", "--rm", "--network", "none", "--log-driver", "none", IMAGE]
    start = time.perf_counter()
    process = subprocess.Popen([*run, "bash", "-c", flooding(size)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    seen = 0
    while piece := process.stdout.read(1024 * 1024):
        seen += len(piece)
    process.wait()
    assert seen == size
    return size / 1e6 / (time.perf_counter() - start)


class Neighbour:
    """A session that prints a line now and then, and how late its viewer sees each."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.ages: list[tuple[float, float]] = []

    async def view(self, ready: asyncio.Event) -> None:
        client = await self.bench.client()
        session = await asyncio.to_thread(
            client.create_session, f"```bash\n{printing(100_000)}\n```"
        )

        def on_output(piece: OutputPiece) -> None:
            now = time.time()
            self.ages.extend((now, age) for age in ages_ms(piece.data, now))
            ready.set()

        try:
            async with client.socket(session) as socket:
                await watch(socket, turn_has_ended(1), on_output=on_output, timeout_s=300)
        finally:
            await asyncio.to_thread(client.delete, session)

    def p99_between(self, start: float, end: float) -> float:
        return percentile([age for at, age in self.ages if start <= at <= end], 0.99)


async def peak_memory(bench: Bench, until: asyncio.Task[float]) -> float:
    server = await bench.server()
    peak = 0.0
    while not until.done():
        peak = max(peak, server.memory_mb())
        await asyncio.sleep(0.02)
    return peak


async def ready_session(client: BerthClient) -> uuid.UUID:
    """With its container running: that it was started is not the flood's doing."""
    session = await asyncio.to_thread(client.create_session, "```bash\ntrue\n```")
    async with client.socket(session) as socket:
        await watch(socket, turn_has_ended(1))
    return session


async def flooded(client: BerthClient, session: uuid.UUID, size: int) -> float:
    """MB/s from the turn's submission to its end, seen by a viewer."""
    async with client.socket(session) as socket:
        start = time.perf_counter()
        await asyncio.to_thread(client.submit, session, f"```bash\n{flooding(size)}\n```")
        await watch(socket, turn_has_ended(2), timeout_s=120)
        return size / 1e6 / (time.perf_counter() - start)


async def measure(bench: Bench) -> Measurement:
    size = bench.count(1_000_000_000, quick=200_000_000)
    neighbour, ready = Neighbour(bench), asyncio.Event()
    watching = asyncio.create_task(neighbour.view(ready))
    await asyncio.wait_for(ready.wait(), 60)
    client = await bench.client()
    session = await ready_session(client)
    await asyncio.sleep(1)
    quiet_from = time.time()
    await asyncio.sleep(4)
    quiet = neighbour.p99_between(quiet_from, time.time())
    before = (await bench.server()).memory_mb()
    flood_from = time.time()
    flooding_task = asyncio.create_task(flooded(client, session, size))
    peak = await peak_memory(bench, flooding_task)
    rate = await flooding_task
    busy = neighbour.p99_between(flood_from, time.time())
    await asyncio.to_thread(client.delete, session)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    floor = await asyncio.to_thread(attached_rate, size)
    more = peak - before
    return Measurement(
        unit="MB/s",
        ours=[rate],
        floor="docker run, attached",
        floor_samples=[floor],
        target="server memory ≤ +64 MB; a neighbour's p99 ≤ twice",
        is_met=more <= MEMORY_TARGET_MB and busy <= NEIGHBOUR_TARGET * quiet,
        note=(
            f"{size / 1e6:.0f} MB: server memory {more:+.0f} MB; a neighbour's line p99 "
            f"{quiet:.1f} ms quiet, {busy:.1f} ms during the flood"
        ),
    )
