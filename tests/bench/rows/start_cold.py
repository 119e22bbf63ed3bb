"""New session to first output when others have just emptied the pool, which is being refilled."""

import asyncio

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, at_most_times_floor, ratio_at_p50
from tests.bench.starts import FLOOR, POOL_SIZE, Starts, docker_run, starts

TARGET = 1.3


async def start_cold(begun: Starts) -> float:
    """Milliseconds of the session that comes after those which the pool served."""
    await begun.until_pool_is_full()
    for _ in range(POOL_SIZE):
        await begun.first_output(is_pooled=True)
    took = await begun.first_output(is_pooled=False)
    await begun.until_pool_is_full()
    await begun.forget()
    return took


async def measure(bench: Bench) -> Measurement:
    ours: list[float] = []
    floor: list[float] = []
    async with starts(bench) as begun:
        filling = asyncio.create_task(begun.pool.run())
        try:
            for _ in range(bench.count(25, quick=5)):
                ours.append(await start_cold(begun))
                floor.append(await docker_run())
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
    return Measurement(
        unit="ms",
        ours=ours,
        floor=FLOOR,
        floor_samples=floor,
        target=at_most_times_floor(TARGET),
        is_met=ratio_at_p50(ours, floor) <= TARGET,
        note=f"after {POOL_SIZE} sessions emptied the pool, whose refill goes on beside it",
    )
