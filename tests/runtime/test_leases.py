"""Who holds something and is dead is known at once where that can be seen, else by the silence."""

import datetime as dt
import subprocess
from collections.abc import Iterator

import pytest
from django.utils import timezone

from sessions.models import Process
from sessions.runtime import leases
from sessions.runtime.keeper import FORGET_AFTER, Keeper
from sessions.runtime.leases import SILENT_S, UNKNOWN_S, is_holder_dead, lease_name
from sessions.runtime.process import Runtime

pytestmark = pytest.mark.django_db(transaction=True)

FIELD_LENGTH = 64


def lease_of(pid: int, *, started_at: str | None = None) -> str:
    start = leases._started_at(pid) if started_at is None else started_at
    return leases._name(pid, start)


def ago(seconds: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(seconds=seconds)


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def test_a_process_that_can_be_seen_is_known_at_once(
    other: subprocess.Popen[bytes],
) -> None:
    name = lease_of(other.pid)
    assert not await is_holder_dead(lease_name())
    assert not await is_holder_dead(name, since=ago(UNKNOWN_S * 2))
    other.kill()
    other.wait()
    assert await is_holder_dead(name)


async def test_a_number_that_was_given_out_again_is_another_process(
    other: subprocess.Popen[bytes],
) -> None:
    assert await is_holder_dead(lease_of(other.pid, started_at="1"))


@pytest.mark.parametrize("silent_s", [0.0, SILENT_S - 10, SILENT_S + 10])
async def test_one_elsewhere_is_dead_when_it_has_been_silent(silent_s: float) -> None:
    name = "elsewhere:1:5:12345678:abcdefgh"
    await Process.objects.acreate(lease=name, seen_at=ago(silent_s))
    assert await is_holder_dead(name) is (silent_s > SILENT_S)


@pytest.mark.parametrize("name", ["elsewhere:1:5:12345678:abc", "garbage", "host:1:abc", ""])
async def test_of_one_that_never_said_a_word_only_age_tells(name: str) -> None:
    assert not await is_holder_dead(name)
    assert not await is_holder_dead(name, since=ago(UNKNOWN_S - 60))
    assert await is_holder_dead(name, since=ago(UNKNOWN_S + 60))


def test_a_name_fits_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "a:" * 60)
    name = leases._name(2**22, "9" * 12)
    assert len(name) <= FIELD_LENGTH
    assert len(name.split(":")) == len(lease_name().split(":"))


async def test_a_process_shows_that_it_lives_and_forgets_who_is_long_gone(
    sandbox_runtime: Runtime,
) -> None:
    long_gone = timezone.now() - FORGET_AFTER - dt.timedelta(days=1)
    await Process.objects.acreate(lease="long gone", seen_at=long_gone)
    await Process.objects.acreate(lease="gone", seen_at=ago(SILENT_S * 2))
    keeper = Keeper(sandbox_runtime)
    await keeper.beat()
    mine = await Process.objects.aget(lease=sandbox_runtime.sandboxes.lease)
    await keeper.beat()
    assert (await Process.objects.aget(lease=mine.lease)).seen_at > mine.seen_at
    assert {row.lease async for row in Process.objects.all()} == {"gone", mine.lease}
