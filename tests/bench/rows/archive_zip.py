"""10,000 small files of a session as a zip through HTTP, beside Python's zipfile inside."""

import asyncio
import io
import time
import zipfile

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, at_most_times_floor, ratio_at_p50
from tests.bench.rows.archive_tar import FILES, MAKE_FILES
from tests.bench.rows.download import session_with
from tests.bench.sandboxes import docker_cli

TARGET = 1.3
ZIP_INSIDE = """
import os, zipfile
with zipfile.ZipFile("/tmp/out.zip", "w") as out:
    for folder, _, names in os.walk("/workspace/many"):
        for name in names:
            out.write(os.path.join(folder, name))
"""


async def zipped_inside(container: str) -> float:
    start = time.perf_counter()
    await docker_cli("exec", container, "python3", "-c", ZIP_INSIDE)
    return (time.perf_counter() - start) * 1000


async def measure(bench: Bench) -> Measurement:
    client, session, container = await session_with(bench, MAKE_FILES)
    path = f"/sessions/{session}/files/archive/?path=many"
    ours: list[float] = []
    floor: list[float] = []
    body = b""
    for _ in range(bench.count(7, quick=3)):
        start = time.perf_counter()
        body = await asyncio.to_thread(lambda: b"".join(client.stream(path)))
        ours.append((time.perf_counter() - start) * 1000)
        floor.append(await zipped_inside(container))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        files = [name for name in archive.namelist() if not name.endswith("/")]
        assert len(files) == FILES
        assert archive.testzip() is None
    await asyncio.to_thread(client.delete, session)
    return Measurement(
        unit="ms",
        ours=ours,
        floor="zipfile in the container, stored, started by docker exec",
        floor_samples=floor,
        target=at_most_times_floor(TARGET),
        is_met=ratio_at_p50(ours, floor) <= TARGET,
        note="10,000 files in 100 folders, through HTTP; the zip was opened and tested",
    )
