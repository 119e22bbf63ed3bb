"""Memory of one idle session with an open channel, beside a container that only sleeps."""

import contextlib
import re
from pathlib import Path

import psutil

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, percentile
from tests.bench.sandboxes import IMAGE, box, docker_cli, execute

TARGET_MB = 8.0
PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def pss_mb(pid: int) -> float:
    """Proportional set size: shared pages are counted by how many share them. None is left of a
    process that ended since it was listed, as those that count files do."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = PSS.search(text)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


async def container_mb(container_id: str) -> float:
    """Everything the container costs: its processes and its shim, which is their parent."""
    first = int(await docker_cli("inspect", "--format", "{{.State.Pid}}", container_id))
    shim = psutil.Process(first).parent()
    assert shim is not None
    pids = [shim.pid, *(child.pid for child in shim.children(recursive=True))]
    return sum(pss_mb(pid) for pid in pids)


async def measure(bench: Bench) -> Measurement:
    count = bench.count(10, quick=4)
    ours: list[float] = []
    floor: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        boxes = [await stack.enter_async_context(box(bench.docker)) for _ in range(count)]
        sleepers = []
        for _ in range(count):
            label = f"berth.installation={bench.installation}"
            run = ("run", "-d", "--rm", "--network", "none", "--log-driver", "none")
            sleeper = await docker_cli(*run, "--label", label, IMAGE, "sleep", "infinity")
            sleepers.append(sleeper)
            stack.push_async_callback(docker_cli, "rm", "-f", sleeper)
        for warm in boxes:
            await execute(warm.sandbox, "true")
        for warm, sleeper in zip(boxes, sleepers, strict=True):
            ours.append(await container_mb(warm.container_id))
            floor.append(await container_mb(sleeper))
    more = percentile(ours, 0.5) - percentile(floor, 0.5)
    return Measurement(
        unit="MB PSS",
        ours=ours,
        floor="`sleep infinity` with its shim",
        floor_samples=floor,
        target=f"≤ floor + {TARGET_MB:g} MB",
        is_met=more <= TARGET_MB,
        note=f"+{more:.1f} MB; guest, channel helper and shim of {count} sessions at once",
    )
