"""Several processes take from one pool at the same moment: no container is given twice."""

import asyncio
import os
import subprocess
import sys
import uuid
from contextlib import ExitStack
from typing import IO
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from sessions.events.types import ContainerState
from sessions.models import PooledContainer, Session
from tests.runtime.conftest import Log
from tests.runtime.test_pool import session_of
from tests.serve.server_process import ROOT

pytestmark = pytest.mark.slow

PROCESSES = 4
MEMBERS = 50
SESSIONS_EACH = 15
PROGRAM = """
import asyncio, sys
from sessions.models import Session
from sessions.runtime.pool import Pool, PoolConfig, PoolSize
from sessions.sandbox.channel import open_channel
from sessions.sandbox.limits import Limits
from tests.sandbox.child_backend import ChildBackend

async def claim_all(ids):
    config = PoolConfig({"child": PoolSize(1)}, Limits())
    pool = Pool(ChildBackend(), open_channel, config, lease="one of four")
    waiting = [await Session.objects.aget(id=each) for each in ids]
    print("ready", flush=True)
    sys.stdin.readline()
    for session in waiting:
        claimed = await pool.claim(session)
        print(session.id, claimed.name if claimed else "", sep=",", flush=True)

asyncio.run(claim_all(IDS))
"""


def database_url() -> str:
    """Of this test's database, for another process."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return name
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


class Claimer:
    """A process that claims a container for each of `sessions` as soon as it is told to."""

    def __init__(self, sessions: list[Session]) -> None:
        ids = [str(session.id) for session in sessions]
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "-c", PROGRAM.replace("IDS", repr(ids))],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        return self.process.stdin, self.process.stdout

    def wait_until_ready(self) -> None:
        for line in self._pipes[1]:
            if line == "ready\n":
                return
        raise AssertionError("it ended before it was ready")

    def go(self) -> None:
        self._pipes[0].write("go\n")
        self._pipes[0].flush()

    def given(self) -> dict[uuid.UUID, str]:
        """The container of each session, empty for none."""
        pairs = (line.rstrip("\n").split(",") for line in self._pipes[1])
        found = {uuid.UUID(session): name for session, name in pairs}
        assert self.process.wait() == 0
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in self._pipes:
            pipe.close()


def claimed_at_once(shares: list[list[Session]]) -> list[dict[uuid.UUID, str]]:
    with ExitStack() as stack:
        claimers = [Claimer(share) for share in shares]
        for claimer in claimers:
            stack.callback(claimer.close)
        for claimer in claimers:
            claimer.wait_until_ready()
        for claimer in claimers:
            claimer.go()
        return [claimer.given() for claimer in claimers]


async def test_no_container_is_given_to_two_processes(alice: User) -> None:
    """More sessions than containers, and all processes begin with the same ones."""
    for number in range(MEMBERS):
        await PooledContainer.objects.acreate(
            name=f"pooled-{number:02}",
            workspace_volume=f"volume-{number:02}",
            image="child",
            image_id="child@1",
            holder="another",
            ready_at=timezone.now(),
        )
    shares = [[await session_of(alice) for _ in range(SESSIONS_EACH)] for _ in range(PROCESSES)]
    found = await asyncio.to_thread(claimed_at_once, shares)
    given = {session: name for share in found for session, name in share.items() if name}
    left = [row.name async for row in PooledContainer.objects.all()]
    assert all(any(share.values()) for share in found), "they did not claim at the same time"
    assert len(set(given.values())) == len(given), "a container was given twice"
    assert sorted([*given.values(), *left]) == [f"pooled-{n:02}" for n in range(MEMBERS)]
    async for row in Session.objects.all():
        name = given.get(row.id, "")
        assert row.container_id == name
        assert row.workspace_volume == name.replace("pooled", "volume")
        assert len(await Log(row).of(ContainerState)) == bool(name)
