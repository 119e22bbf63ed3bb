"""A 200 MB file of a session through HTTP, beside `docker cp`."""

import asyncio
import hashlib
import tempfile
import time
import uuid
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, at_most_times_floor, ratio_at_p50
from tests.bench.sandboxes import docker_cli
from tests.serve.berth_client import BerthClient, turn_has_ended, watch

TARGET = 1.2
MEMORY_TARGET_MB = 64.0


async def session_with(bench: Bench, command: str) -> tuple[BerthClient, uuid.UUID, str]:
    """A session that ran `command`: client, session, container."""
    client = await bench.client()
    session = await asyncio.to_thread(client.create_session, f"```bash\n{command}\n```")
    async with client.socket(session) as socket:
        await watch(socket, turn_has_ended(1), timeout_s=120)
    container = await asyncio.to_thread(client.container, session)
    return client, session, container


def fetched(client: BerthClient, path: str) -> tuple[float, int]:
    start = time.perf_counter()
    size = sum(len(piece) for piece in client.stream(path))
    return (time.perf_counter() - start) * 1000, size


async def copied(source: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        await docker_cli("cp", source, folder)
        return (time.perf_counter() - start) * 1000


async def measure(bench: Bench) -> Measurement:
    size = bench.count(200_000_000, quick=50_000_000)
    client, session, container = await session_with(
        bench, f"head -c {size} /dev/urandom > big.bin; sha256sum < big.bin > sum"
    )
    path = f"/sessions/{session}/files/raw/?path="
    server = await bench.server()
    before = peak = server.memory_mb()
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(bench.count(5, quick=3)):
        fetching = asyncio.create_task(asyncio.to_thread(fetched, client, path + "big.bin"))
        while not fetching.done():
            peak = max(peak, server.memory_mb())
            await asyncio.sleep(0.02)
        took, seen = await fetching
        assert seen == size
        ours.append(took)
        floor.append(await copied(f"{container}:/workspace/big.bin"))
    await asyncio.to_thread(compare, client, path)
    await asyncio.to_thread(client.delete, session)
    more = peak - before
    return Measurement(
        unit="ms",
        ours=ours,
        floor="docker cp",
        floor_samples=floor,
        target=f"{at_most_times_floor(TARGET)}, memory flat",
        is_met=ratio_at_p50(ours, floor) <= TARGET and more <= MEMORY_TARGET_MB,
        note=f"{size / 1e6:.0f} MB, same bytes; server memory {more:+.0f} MB",
    )


def compare(client: BerthClient, path: str) -> None:
    """The bytes are those the command saw."""
    digest = hashlib.sha256()
    for piece in client.stream(path + "big.bin"):
        digest.update(piece)
    expected = b"".join(client.stream(path + "sum")).split()[0].decode()
    assert digest.hexdigest() == expected, Path(path).name
