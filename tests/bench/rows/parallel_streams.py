"""A hundred streams of `/v1/responses` at once, beside the same streams of the model's endpoint.

Each piece holds the time at which the endpoint sent it.
"""

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, percentile
from tests.bench.model_endpoint import MODEL, PAUSE_S, PIECES
from tests.serve.server_process import ServerProcess, berth_environment, manage

STREAMS = 100
ADDED_MS = 10.0
SENT_AT = re.compile(rb"\d{10}\.\d{6}")


@contextlib.asynccontextmanager
async def model_endpoint() -> AsyncIterator[str]:
    """Its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.model_endpoint", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def berth_before(endpoint: str, bench: Bench) -> AsyncIterator[tuple[str, str]]:
    """Address and key of a server of its own that asks `endpoint`."""
    environment = berth_environment(
        bench.var_dir / "streams",
        f"{bench.installation}-streams",
        BERTH_MODEL="",
        OPENAI_BASE_URL=endpoint,
        OPENAI_API_KEY="none",
        BERTH_OPENAI_API="chat",
        BERTH_POOL="off",
        BERTH_MAX_RUNNING_TURNS=str(STREAMS),
    )
    os.makedirs(bench.var_dir / "streams", exist_ok=True)  # noqa: PTH103
    for command in (("migrate", "--verbosity", "0"), ("ensure_admin", "--verbosity", "0")):
        done = await asyncio.to_thread(manage, environment, *command)
        assert done.returncode == 0, done.stderr
    made = await asyncio.to_thread(manage, environment, "create_api_key", "admin", "bench")
    server = await asyncio.to_thread(ServerProcess(environment).start)
    try:
        yield f"{server.url}/v1", made.stdout.strip().splitlines()[-1].split()[-1]
    finally:
        await asyncio.to_thread(server.stop)


async def ages_ms(
    url: str, path: str, key: str, body: dict[str, object], mark: bytes
) -> list[float]:
    """How long ago each piece was sent, as it is read; only lines with `mark` hold new ones."""
    host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**20)
    data = json.dumps(body).encode()
    head = (
        f"POST /v1/{path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + data)
    ages: list[float] = []
    last = b""
    while line := await reader.readline():
        now = time.time()
        if mark in line:
            ages += [(now - float(sent)) * 1000 for sent in SENT_AT.findall(line)]
        last = line.strip() or last
    writer.close()
    assert len(ages) == PIECES, f"cut after {len(ages)} of {PIECES} pieces: {last[:500]!r}"
    return ages


async def together(*stream: object) -> list[float]:
    async def one(number: int) -> list[float]:
        # As programs do, not all in one moment.
        await asyncio.sleep(number * PAUSE_S / STREAMS * 10)
        return await ages_ms(*stream)  # type: ignore[arg-type]

    gathered = await asyncio.gather(*(one(number) for number in range(STREAMS)))
    return [age for ages in gathered for age in ages]


async def measure(bench: Bench) -> Measurement:
    messages = [{"role": "user", "content": "What time is it?"}]
    async with model_endpoint() as endpoint, berth_before(endpoint, bench) as (url, key):
        asked: dict[str, object] = {"model": MODEL, "stream": True}
        floor = await together(
            endpoint, "chat/completions", key, {**asked, "messages": messages}, b'"content"'
        )
        ours = await together(
            url, "responses", key, {**asked, "input": "What time is it?"}, b"output_text.delta"
        )
    added = percentile(ours, 0.5) - percentile(floor, 0.5)
    return Measurement(
        unit="ms",
        ours=ours,
        floor="the model's endpoint itself",
        floor_samples=floor,
        target=f"none cut, ≤ {ADDED_MS:g} ms p50 above the floor",
        is_met=added <= ADDED_MS,
        note=f"{STREAMS} streams at once, {1 / PAUSE_S:g} pieces a second each",
    )
