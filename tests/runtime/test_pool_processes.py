"""Several processes take from one pool at the same moment: no container is given twice.

On a database of their own: what the processes do to the files of a database must touch no other
test's.
"""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pytest

from tests.serve.server_process import ROOT, berth_environment, manage

pytestmark = pytest.mark.slow

PROCESSES = 4
MEMBERS = 50
SESSIONS_EACH = 15
PREPARE = f"""
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.utils import timezone
from sessions import services
from sessions.models import PooledContainer
from sessions.sandbox.limits import Limits

alice = User.objects.create_user("alice")
for number in range({MEMBERS}):
    PooledContainer.objects.create(
        name=f"pooled-{{number:02}}", workspace_volume=f"volume-{{number:02}}", image="child",
        image_id="child@1", holder="another", ready_at=timezone.now(),
    )
for _ in range({PROCESSES * SESSIONS_EACH}):
    session = async_to_sync(services.session_create)(
        owner=alice, text="Say hello", provider="scripted", model="scripted", image="child",
        limits=Limits(),
    )
    print("session", session.id)
"""
CLAIM = """
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
LOOK = """
import json
from sessions.models import Event, PooledContainer, Session
print("found", json.dumps({
    "left": [row.name for row in PooledContainer.objects.all()],
    "sessions": {
        str(row.id): [
            row.container_id,
            row.workspace_volume,
            Event.objects.filter(session=row, type="container.state").count(),
        ]
        for row in Session.objects.all()
    },
}))
"""


class Claimer:
    """A process that claims a container for each of `sessions` as soon as it is told to."""

    def __init__(self, environment: dict[str, str], sessions: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "-c", CLAIM.replace("IDS", repr(sessions))],
            cwd=ROOT,
            env=environment,
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

    def given(self) -> dict[str, str]:
        """The container of each session, empty for none."""
        found = dict(line.rstrip("\n").split(",") for line in self._pipes[1])
        assert self.process.wait() == 0
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in self._pipes:
            pipe.close()


def claimed_at_once(environment: dict[str, str], shares: list[list[str]]) -> list[dict[str, str]]:
    with ExitStack() as stack:
        claimers = [Claimer(environment, share) for share in shares]
        for claimer in claimers:
            stack.callback(claimer.close)
        for claimer in claimers:
            claimer.wait_until_ready()
        for claimer in claimers:
            claimer.go()
        return [claimer.given() for claimer in claimers]


def said(environment: dict[str, str], program: str, word: str) -> list[str]:
    """What follows `word` on the lines that the program prints."""
    done = manage(environment, "shell", "--no-imports", "-c", program)
    assert done.returncode == 0, done.stderr
    lines = (line.partition(" ") for line in done.stdout.splitlines())
    return [rest for first, _, rest in lines if first == word]


def test_no_container_is_given_to_two_processes(tmp_path: Path) -> None:
    """More sessions than containers, and all processes begin with the same ones."""
    environment = berth_environment(tmp_path, "pool", DATABASE_URL=str(tmp_path / "db.sqlite3"))
    migrated = manage(environment, "migrate", "--verbosity", "0")
    assert migrated.returncode == 0, migrated.stderr
    ids = said(environment, PREPARE, "session")
    shares = [ids[n * SESSIONS_EACH :][:SESSIONS_EACH] for n in range(PROCESSES)]
    found = claimed_at_once(environment, shares)
    given = {session: name for share in found for session, name in share.items() if name}
    (text,) = said(environment, LOOK, "found")
    after: dict[str, Any] = json.loads(text)
    assert all(any(share.values()) for share in found), "they did not claim at the same time"
    assert len(set(given.values())) == len(given), "a container was given twice"
    assert sorted([*given.values(), *after["left"]]) == [f"pooled-{n:02}" for n in range(MEMBERS)]
    for session, (container, volume, told) in after["sessions"].items():
        assert container == given.get(session, "")
        assert volume == container.replace("pooled", "volume")
        assert told == bool(container)
