"""10,000 small files out of a container as one streamed tar, beside `docker cp`."""

import asyncio
import time

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, at_most_times_floor, ratio_at_p50
from tests.bench.sandboxes import box, execute

TARGET = 1.3
FILES = 10_000
MAKE_FILES = (
    "mkdir -p many && cd many && for d in $(seq 100); do mkdir d$d; for f in $(seq 100); do "
    'echo "small file $d $f" > d$d/f$f.txt; done; done'
)


async def copied_tar(container_id: str, path: str) -> float:
    """Milliseconds of `docker cp` to a tar on its standard output."""
    start = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        "docker", "cp", f"{container_id}:{path}", "-", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    size = 0
    while piece := await process.stdout.read(1024 * 1024):
        size += len(piece)
    assert await process.wait() == 0
    assert size > FILES * 512
    return (time.perf_counter() - start) * 1000


async def measure(bench: Bench) -> Measurement:
    ours: list[float] = []
    floor: list[float] = []
    async with box(bench.docker) as warm:
        await execute(warm.sandbox, "bash", "-c", MAKE_FILES)
        for _ in range(bench.count(7, quick=3)):
            start = time.perf_counter()
            size = 0
            async for piece in warm.sandbox.archive("many", format="tar"):
                size += len(piece)
            ours.append((time.perf_counter() - start) * 1000)
            assert size > FILES * 512
            floor.append(await copied_tar(warm.container_id, "/workspace/many"))
    return Measurement(
        unit="ms",
        ours=ours,
        floor="docker cp to standard output",
        floor_samples=floor,
        target=at_most_times_floor(TARGET),
        is_met=ratio_at_p50(ours, floor) <= TARGET,
        note="10,000 files in 100 folders, read to the last byte",
    )
