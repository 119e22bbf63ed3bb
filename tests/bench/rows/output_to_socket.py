"""A line printed in a session to its websocket frame at a client, with ten viewers.

The line holds the time it was printed; container and host share the kernel's clock.
"""

import asyncio
import time

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, percentile
from tests.bench.sandboxes import IMAGE
from tests.serve.berth_client import OutputPiece, turn_has_ended, watch

VIEWERS = 10
TARGET_P50_MS = 10.0
TARGET_P99_MS = 50.0


def printing(lines: int) -> str:
    return f'for i in $(seq {lines}); do echo "$EPOCHREALTIME"; sleep 0.03; done'


def ages_ms(data: bytes, now: float) -> list[float]:
    """How long ago each printed line was printed."""
    return [(now - float(line)) * 1000 for line in data.split()]


async def viewed(bench: Bench, lines: int) -> list[float]:
    client = await bench.client()
    session = await asyncio.to_thread(client.create_session, "```bash\ntrue\n```")
    ages: list[float] = []

    def on_output(piece: OutputPiece) -> None:
        ages.extend(ages_ms(piece.data, time.time()))

    async def view() -> None:
        async with client.socket(session) as socket:
            await watch(socket, turn_has_ended(2), on_output=on_output)

    async with client.socket(session) as socket:
        await watch(socket, turn_has_ended(1))
    viewers = [asyncio.create_task(view()) for _ in range(VIEWERS)]
    await asyncio.sleep(0.5)
    await asyncio.to_thread(client.submit, session, f"```bash\n{printing(lines)}\n```")
    await asyncio.gather(*viewers)
    await asyncio.to_thread(client.delete, session)
    assert len(ages) == lines * VIEWERS, f"{len(ages)} lines of {lines * VIEWERS} came"
    return ages


async def attached(lines: int) -> list[float]:
    run = ("run", "--rm", "--network", "none", "--log-driver", "none")
    process = await asyncio.create_subprocess_exec(
        "docker", *run, IMAGE, "bash", "-c", printing(lines), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    ages: list[float] = []
    while line := await process.stdout.readline():
        ages += ages_ms(line, time.time())
    await process.wait()
    return ages


async def measure(bench: Bench) -> Measurement:
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(2):
        lines = bench.count(100, quick=30)
        ours += await viewed(bench, lines)
        floor += await attached(lines)
    return Measurement(
        unit="ms",
        ours=ours,
        floor="docker run, attached, one reader",
        floor_samples=floor,
        target=f"≤ {TARGET_P50_MS:g} ms p50, ≤ {TARGET_P99_MS:g} ms p99",
        is_met=percentile(ours, 0.5) <= TARGET_P50_MS and percentile(ours, 0.99) <= TARGET_P99_MS,
        note=f"{VIEWERS} viewers, each line timed at each",
    )
