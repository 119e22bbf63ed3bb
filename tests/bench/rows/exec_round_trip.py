"""`true` in a warm session, beside `true` as a child process of the host."""

import time

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, at_most_times_floor, ratio_at_p50
from tests.bench.sandboxes import box, execute, timed_run

TARGET = 2.5


async def measure(bench: Bench) -> Measurement:
    ours: list[float] = []
    floor: list[float] = []
    async with box(bench.docker) as warm:
        for round_number in range(bench.count(300, quick=60) + 10):
            start = time.perf_counter()
            await execute(warm.sandbox, "true")
            took = (time.perf_counter() - start) * 1000
            host = timed_run(["true"])
            if round_number >= 10:
                ours.append(took)
                floor.append(host)
    return Measurement(
        unit="ms",
        ours=ours,
        floor="the same as a child process of the host",
        floor_samples=floor,
        target=at_most_times_floor(TARGET),
        is_met=ratio_at_p50(ours, floor) <= TARGET,
    )
