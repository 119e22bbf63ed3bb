"""New session to first output, from the pool, beside `docker run` of the same image."""

import dataclasses

from sessions.sandbox.limits import GIB
from tests.bench.bench import Bench
from tests.bench.figures import Measurement, percentile, ratio_at_p50
from tests.bench.sandboxes import LIMITS
from tests.bench.starts import FLOOR, POOL_SIZE, docker_run, starts

TARGET = 1 / 8
OTHER_LIMITS = dataclasses.replace(LIMITS, memory_bytes=1 * GIB, cpus=1.0)
"""Than the pool's, so that the engine is asked to change the container's."""
OTHERS_EVERY = 2


async def measure(bench: Bench) -> Measurement:
    ours: list[float] = []
    changed: list[float] = []
    floor: list[float] = []
    async with starts(bench) as begun:
        for number in range(bench.count(40, quick=8)):
            await begun.pool.fill()
            ours.append(await begun.first_output(is_pooled=True))
            await begun.forget()
            if number % OTHERS_EVERY == 0:
                await begun.pool.fill()
                changed.append(await begun.first_output(is_pooled=True, limits=OTHER_LIMITS))
                await begun.forget()
            floor.append(await docker_run())
    ratio = ratio_at_p50(ours, floor)
    return Measurement(
        unit="ms",
        ours=ours,
        floor=FLOOR,
        floor_samples=floor,
        target=f"≤ 1/{1 / TARGET:g} of the floor",
        is_met=ratio <= TARGET,
        note=(
            "from asking for the session's container, as when its turn is claimed, to its first "
            "byte: without the request, the log and the model. "
            f"1/{1 / ratio:.1f} of the floor; each from a pool of {POOL_SIZE}, filled between. "
            f"{len(changed)} with other limits than the pool's, which the engine changes: "
            f"{percentile(changed, 0.5):.1f} ms p50, {percentile(changed, 0.99):.1f} ms p99, "
            f"1/{1 / ratio_at_p50(changed, floor):.1f} of the floor"
        ),
    )
