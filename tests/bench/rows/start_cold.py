"""New container to first output, beside `docker run` of the same command."""

import time

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, at_most_times_floor, ratio_at_p50
from tests.bench.sandboxes import IMAGE, box, execute, timed_run

TARGET = 1.3


async def measure(bench: Bench) -> Measurement:
    ours: list[float] = []
    floor: list[float] = []
    for round_number in range(bench.count(15, quick=5) + 1):
        start = time.perf_counter()
        async with box(bench.docker) as fresh:
            _, output = await execute(fresh.sandbox, "echo", "ready")
            took = (time.perf_counter() - start) * 1000
            assert output == b"ready\n"
        run = ["docker", "run", "--rm", "--network", "none", "--log-driver", "none", IMAGE]
        host = timed_run([*run, "echo", "ready"])
        # The first round also builds the guest's volume.
        if round_number > 0:
            ours.append(took)
            floor.append(host)
    return Measurement(
        unit="ms",
        ours=ours,
        floor="docker run --rm --network none",
        floor_samples=floor,
        target=at_most_times_floor(TARGET),
        is_met=ratio_at_p50(ours, floor) <= TARGET,
    )
