"""A key typed into a shell to its echo at the client, a flood to one client, and a client that
does not read.

The floor is a terminal over `docker exec -it`, in the same container, by a client without a
browser: what a web terminal that runs `docker exec` for each page would at best have.
"""

import asyncio
import contextlib
import json
import os
import pty
import select
import struct
import subprocess
import time
import tty
import urllib.request
import uuid
from collections.abc import Iterator

from websockets.asyncio.client import ClientConnection, connect

from tests.bench.bench import Bench
from tests.bench.figures import Measurement, at_most_times_floor, percentile
from tests.bench.rows.flood import ready_session
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ServerProcess

FACTOR = 4.0
RATE_TARGET = 44.0
"""Of another terminal, on another machine: where the kernel's own terminal is slower than that, no
terminal gets there, and the floor's rate is the target."""
RATE_ROUNDS = 3
FLAT_MB = 16.0
"""What a ring, a window and the log's pending pieces may take for one shell, and some."""
NO_READ_S = 10.0
SILENCE_S = 1.0
END = b"flood-is-over"
SILENT = "sleep 100000"
"""Echo is then the kernel's alone, without a shell that edits its line."""


def flood_line(size: int) -> str:
    return f"head -c {size} /dev/zero | tr '\\0' x; echo flood-is-ov''er"


class ShellClient:
    """A page without a browser: it acknowledges what it reads."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.offset = self.acked = self.typed = 0

    async def start(self) -> None:
        attach = {"type": "attach", "viewer": uuid.uuid4().hex, "offset": None, "is_new": True}
        await self.socket.send(json.dumps(attach))
        while True:
            frame = await self.socket.recv()
            if isinstance(frame, str):
                fields = json.loads(frame)
                if fields["type"] == "keyboard" and fields["is_mine"] and fields["is_attached"]:
                    self.typed = fields["offset"]
                    return

    async def type(self, data: bytes) -> None:
        await self.socket.send(struct.pack(">Q", self.typed) + data)
        self.typed += len(data)

    async def read(self) -> bytes:
        """The next bytes; frames of another kind are passed over."""
        while True:
            frame = await self.socket.recv()
            if isinstance(frame, bytes):
                (offset,) = struct.unpack_from(">Q", frame)
                self.offset = offset + len(frame) - 8
                if self.offset - self.acked > 128 * 1024:
                    await self.ack()
                return frame[8:]
            fields = json.loads(frame)
            if fields["type"] == "gap":
                self.offset = fields["start"]["offset"]

    async def ack(self) -> None:
        self.acked = self.offset
        await self.socket.send(json.dumps({"type": "ack", "offset": self.offset}))

    async def read_until(self, text: bytes) -> None:
        seen = b""
        while text not in seen:
            seen = seen[-len(text) :] + await self.read()

    async def read_until_silent(self) -> None:
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(SILENCE_S):
                    await self.read()


def open_shell(client: BerthClient, session: uuid.UUID) -> str:
    request = urllib.request.Request(
        f"{client.url}/sessions/{session}/shells/", data=b"columns=80&rows=24", method="POST"
    )
    for name, value in (
        ("Cookie", client.cookies),
        ("X-CSRFToken", client.csrf),
        ("Origin", client.url),
        ("Accept", "application/json"),
    ):
        request.add_header(name, value)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.loads(answer.read())["shell"]["shell_id"])


def connection(client: BerthClient, session: uuid.UUID, shell_id: str) -> connect:
    address = f"{client.url.replace('http', 'ws', 1)}/ws/sessions/{session}/shells/{shell_id}/"
    headers = {"Cookie": client.cookies, "Origin": client.url}
    return connect(
        address, additional_headers=headers, max_size=None, proxy=None, compression=None
    )


async def echoes(shell: ShellClient, keys: int) -> list[float]:
    """Milliseconds from a key's frame to that of its echo."""
    taken = []
    for _ in range(keys):
        start = time.perf_counter()
        await shell.type(b"x")
        echo = await shell.read()
        taken.append((time.perf_counter() - start) * 1000)
        assert echo == b"x", f"{echo!r} is no echo"
        await asyncio.sleep(0.005)
    return taken


@contextlib.contextmanager
def attached_terminal(container_id: str) -> Iterator[int]:
    """The near end of a terminal over `docker exec -it`."""
    near, far = pty.openpty()
    tty.setraw(far)
    command = ["docker", "exec", "-it", "-u", "1000", container_id, "bash", "--norc", "-i"]
    process = subprocess.Popen(command, stdin=far, stdout=far, stderr=far, start_new_session=True)
    os.close(far)
    try:
        yield near
    finally:
        process.kill()
        process.wait()
        os.close(near)


def read_until(near: int, text: bytes) -> None:
    seen = b""
    while text not in seen:
        seen = seen[-len(text) :] + os.read(near, 256 * 1024)


def read_until_silent(near: int) -> None:
    while select.select([near], [], [], SILENCE_S)[0]:
        os.read(near, 256 * 1024)


def floor_echoes(near: int, keys: int) -> list[float]:
    taken = []
    for _ in range(keys):
        start = time.perf_counter()
        os.write(near, b"x")
        echo = os.read(near, 100)
        taken.append((time.perf_counter() - start) * 1000)
        assert echo == b"x", f"{echo!r} is no echo"
        time.sleep(0.005)
    return taken


def floor_rate(near: int, size: int) -> float:
    start = time.perf_counter()
    os.write(near, flood_line(size).encode() + b"\r")
    read_until(near, END)
    return size / 1e6 / (time.perf_counter() - start)


async def rate(shell: ShellClient, size: int) -> float:
    start = time.perf_counter()
    await shell.type(flood_line(size).encode() + b"\r")
    await shell.read_until(END)
    return size / 1e6 / (time.perf_counter() - start)


async def growth_without_reader(
    server: ServerProcess, client: BerthClient, session: uuid.UUID
) -> float:
    """How much more memory the server takes while a shell floods a page that does not read."""
    shell_id = await asyncio.to_thread(open_shell, client, session)
    async with connection(client, session, shell_id) as socket:
        shell = ShellClient(socket)
        await shell.start()
        before = peak = server.memory_mb()
        await shell.type(b"yes\r")
        until = time.monotonic() + NO_READ_S
        while time.monotonic() < until:
            peak = max(peak, server.memory_mb())
            await asyncio.sleep(0.05)
        await shell.type(b"\x03")
        socket.transport.abort()
    return peak - before


async def measure(bench: Bench) -> Measurement:
    server, client = await bench.server(), await bench.client()
    session = await ready_session(client)
    size = bench.count(40_000_000, quick=20_000_000)
    ours: list[float] = []
    floor: list[float] = []
    shell_id = await asyncio.to_thread(open_shell, client, session)
    with attached_terminal(await asyncio.to_thread(client.container, session)) as near:
        async with connection(client, session, shell_id) as socket:
            shell = ShellClient(socket)
            await shell.start()
            await rate(shell, 1000)
            rates: list[float] = []
            floor_rates: list[float] = []
            for _ in range(RATE_ROUNDS):
                floor_rates.append(await asyncio.to_thread(floor_rate, near, size))
                rates.append(await rate(shell, size))
            await shell.type(SILENT.encode() + b"\r")
            await shell.read_until_silent()
            await asyncio.to_thread(os.write, near, SILENT.encode() + b"\r")
            await asyncio.to_thread(read_until_silent, near)
            for _ in range(5):
                keys = bench.count(100, quick=30)
                ours += await echoes(shell, keys)
                floor += await asyncio.to_thread(floor_echoes, near, keys)
    more = await growth_without_reader(server, client, session)
    await asyncio.to_thread(client.delete, session)
    mb_s, floor_mb_s = percentile(rates, 0.5), percentile(floor_rates, 0.5)
    is_quick_enough = percentile(ours, 0.5) <= FACTOR * percentile(floor, 0.5)
    return Measurement(
        unit="ms",
        ours=ours,
        floor="a terminal over docker exec -it, raw client",
        floor_samples=floor,
        target=f"{at_most_times_floor(FACTOR)}; ≥ {RATE_TARGET:g} MB/s or the floor's; memory flat",
        is_met=is_quick_enough and mb_s >= min(RATE_TARGET, floor_mb_s) and more <= FLAT_MB,
        note=(
            f"{RATE_ROUNDS} times {size / 1e6:.0f} MB to one client, {mb_s:.0f} MB/s p50 (floor "
            f"{floor_mb_s:.0f}); a page "
            f"that did not read for {NO_READ_S:g} s of `yes`: server memory {more:+.1f} MB"
        ),
    )
