"""Hundreds of megabytes go through a real server, which holds none of them."""

import asyncio
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.serve.berth_client import BerthClient, Seen, turn_has_ended, watch
from tests.serve.growth import Growth
from tests.serve.raw_http import wait_until
from tests.serve.server_process import ServerProcess
from tests.serve.upload_program import MIB, Program, digest_of, piece_at

pytestmark = [pytest.mark.slow, pytest.mark.docker]

MAX_GROWTH_MB = 64
FILES = 30
FILE_BYTES = 10_000_000
UPLOAD_BYTES = 300 * MIB
FLOOD_BYTES = 400_000_000
PAUSE_S = 2.0
"""The reader of a download sleeps so long near its beginning."""
MAKE_FILES = (
    "mkdir big small; echo x > small/x; "
    f"for n in $(seq {FILES}); do head -c {FILE_BYTES} /dev/urandom > big/$n; done"
)


async def finished(client: BerthClient, session: uuid.UUID, turn: int, *, after: int = 0) -> Seen:
    async with client.socket(session) as socket:
        return await watch(socket, turn_has_ended(turn), after=after, timeout_s=120)


async def ready(server: ServerProcess, command: str) -> tuple[BerthClient, uuid.UUID]:
    client = await asyncio.to_thread(BerthClient, server.url, server.link)
    session = await asyncio.to_thread(client.create_session, f"```bash\n{command}\n```")
    await finished(client, session, 1)
    return client, session


def paused(pieces: Iterator[bytes]) -> int:
    """The length of it all, read by somebody who stops for a while."""
    size = len(next(pieces))
    time.sleep(PAUSE_S)
    return size + sum(map(len, pieces))


async def test_a_zip_is_downloaded(docker_server: ServerProcess) -> None:
    client, session = await ready(docker_server, MAKE_FILES)
    path = f"/sessions/{session}/files/archive/?path="
    await asyncio.to_thread(lambda: sum(map(len, client.stream(path + "small"))))
    with Growth(docker_server) as growth:
        size = await asyncio.to_thread(paused, client.stream(path + "big"))
    assert size > FILES * FILE_BYTES
    assert growth.mb < MAX_GROWTH_MB


async def test_a_workspace_becomes_a_tar_and_is_downloaded(docker_server: ServerProcess) -> None:
    client, session = await ready(docker_server, MAKE_FILES)
    docker_server.stop()
    database = Path(docker_server.environment["BERTH_VAR_DIR"], "db.sqlite3")
    forget_since_long(database)
    docker_server.start()
    path = f"/sessions/{session}/archive/"
    with Growth(docker_server) as writing:
        assert await asyncio.to_thread(wait_until, lambda: is_archived(database), within_s=90)
    with Growth(docker_server) as sending:
        size = await asyncio.to_thread(paused, client.stream(path))
    assert size > FILES * FILE_BYTES
    assert max(writing.mb, sending.mb) < MAX_GROWTH_MB


def forget_since_long(database: Path) -> None:
    """As if nobody had used any session for a year."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE agent_sessions_session SET last_active_at = datetime('now', '-1 year')"
        )


def is_archived(database: Path) -> bool:
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        query = "SELECT count(*) FROM agent_sessions_session WHERE archived_at IS NOT NULL"
        return bool(connection.execute(query).fetchone()[0])


async def test_a_file_is_uploaded_in_pieces(docker_server: ServerProcess) -> None:
    client, session = await ready(docker_server, "true")
    digest = await asyncio.to_thread(digest_of, UPLOAD_BYTES)
    with Growth(docker_server) as growth:
        await asyncio.to_thread(upload, Program(client, session), digest)
    await asyncio.to_thread(client.submit, session, "```bash\nsha256sum < big.bin\n```")
    seen = await finished(client, session, 2)
    assert seen.text().split()[0].decode() == digest
    assert growth.mb < MAX_GROWTH_MB


def upload(program: Program, digest: str) -> None:
    number, offset = program.begin(UPLOAD_BYTES, digest), 0
    while offset < UPLOAD_BYTES:
        offset = program.send(number, offset, piece_at(offset, UPLOAD_BYTES))
    program.ask("POST", f"{number}/finish/")


async def test_a_session_prints_without_end(docker_server: ServerProcess) -> None:
    """Somebody watches; all of it is taken in, and what is stored is limited."""
    client, session = await ready(docker_server, "true")
    flood = f"head -c {FLOOD_BYTES} /dev/zero | tr '\\0' x"
    with Growth(docker_server) as growth:
        await asyncio.to_thread(client.submit, session, f"```bash\n{flood}\n```")
        seen = await finished(client, session, 2)
    ended = [event for event in seen.events if event["type"] == "call.ended"][-1]
    assert ended["stdout_bytes"] == FLOOD_BYTES
    assert 32 * MIB < len(seen.text()) < FLOOD_BYTES // 2
    assert growth.mb < MAX_GROWTH_MB
