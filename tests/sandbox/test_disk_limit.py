"""A session keeps to its disk space, and only whoever writes beyond it is stopped."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from sessions.errors import DiskFullError, InvalidInputError
from sessions.events.types import Ending
from sessions.sandbox.base import ContainerSpec
from sessions.sandbox.channel import GuestChannel, open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.limits import MIB, Limits
from sessions.sandbox.names import SLIM_IMAGE
from sessions.sandbox.requests import Request
from tests.sandbox.child_backend import ChildBackend
from tests.sandbox.conftest import INSTALLATION
from tests.sandbox.running import follow, run, shell

LIMIT = 16 * MIB
SLOW_WRITER = "while :; do head -c 1000000 /dev/zero >> {}; sleep 0.05; done"
PATIENCE_S = 20.0


@pytest.fixture(params=["child", pytest.param("docker", marks=pytest.mark.docker)])
async def limited(request: pytest.FixtureRequest) -> AsyncIterator[GuestChannel]:
    """A session of its own with `LIMIT` bytes of disk."""
    is_child = request.param == "child"
    backend = ChildBackend() if is_child else DockerBackend(installation=INSTALLATION)
    limits = Limits(memory_bytes=256 * MIB, pids=200, cpus=2.0, disk_bytes=LIMIT)
    spec = ContainerSpec("disk-limit", SLIM_IMAGE, "berth-conformance-disk", limits)
    container_id = await backend.create(spec)
    channel = await open_channel(await backend.open(container_id))
    try:
        yield channel
    finally:
        await channel.close()
        await backend.remove(container_id)
        await backend.remove_volume(spec.workspace_volume)
        await backend.close()


async def used_becomes(sandbox: GuestChannel, is_right: Callable[[int], bool]) -> int:
    """Wait until the guest's count says so."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        used = (await sandbox.usage()).disk_used_bytes
        if used is not None and is_right(used):
            return used
        assert time.monotonic() < deadline, f"the count stays at {used}"
        await asyncio.sleep(0.05)


def is_told(ending: Ending) -> bool:
    assert ending.kind == "disk_full", ending
    assert ending.limit_bytes == LIMIT
    assert ending.used_bytes is not None
    assert ending.used_bytes > LIMIT
    return True


async def test_a_writer_is_stopped_within_two_seconds_of_the_limit(limited: GuestChannel) -> None:
    started = time.monotonic()
    outcome = await run(limited, shell(SLOW_WRITER.format("big"), timeout_s=60))
    assert is_told(outcome.ending)
    size = (await limited.stat("big")).size
    rate = size / (time.monotonic() - started)
    assert LIMIT < size < LIMIT + 2 * rate
    assert outcome.ending.used_bytes is not None
    assert outcome.ending.used_bytes <= size + MIB


async def test_a_flood_is_stopped(limited: GuestChannel) -> None:
    # Bounded, so that a limit that does not work fills nobody's disk.
    outcome = await run(limited, shell("head -c 2000000000 /dev/zero > big", timeout_s=60))
    assert is_told(outcome.ending)


@pytest.mark.slow
async def test_many_small_files_count(limited: GuestChannel) -> None:
    script = (
        "i=0; while :; do mkdir d$i; for j in 1 2 3 4 5 6 7 8 9; "
        "do head -c 4000 /dev/zero > d$i/$j; done; i=$((i+1)); done"
    )
    assert is_told((await run(limited, shell(script, timeout_s=120))).ending)


async def test_a_deleted_file_that_is_held_open_counts(limited: GuestChannel) -> None:
    script = "exec 3> gone; rm gone; " + SLOW_WRITER.replace(">> {}", ">&3")
    assert is_told((await run(limited, shell(script, timeout_s=60))).ending)
    assert await used_becomes(limited, lambda used: used < MIB) < MIB


async def test_a_folder_closed_by_its_owner_counts(limited: GuestChannel) -> None:
    script = "mkdir dark; exec 3> dark/big; chmod 0 dark; " + SLOW_WRITER.replace(">> {}", ">&3")
    assert is_told((await run(limited, shell(script, timeout_s=60))).ending)


async def test_what_lies_too_deep_to_be_counted_is_no_way_around_it(limited: GuestChannel) -> None:
    script = (
        "i=0; while [ $i -lt 700 ]; do mkdir d && cd -P d; i=$((i+1)); done 2>/dev/null; "
        + SLOW_WRITER.format("big")
    )
    assert is_told((await run(limited, shell(script, timeout_s=60))).ending)


async def test_holes_and_further_names_take_no_space(limited: GuestChannel) -> None:
    script = (
        "truncate -s 1T sparse; head -c 6000000 /dev/zero > a; "
        "for i in 1 2 3 4 5 6 7 8 9; do ln a b$i; done"
    )
    assert (await run(limited, shell(script))).ending.exit_code == 0
    used = await used_becomes(limited, lambda used: used > 5 * MIB)
    assert used < 7 * MIB
    assert (await run(limited, shell("sleep 1"))).ending.kind == "exit"


@pytest.mark.slow
async def test_a_session_over_its_limit_can_delete_and_goes_on(limited: GuestChannel) -> None:
    assert is_told((await run(limited, shell(SLOW_WRITER.format("big"), timeout_s=60))).ending)
    assert (await run(limited, shell("sleep 1.5; ls"))).ending.exit_code == 0
    started = time.monotonic()
    again = await run(limited, shell(SLOW_WRITER.format("more"), timeout_s=60))
    assert is_told(again.ending)
    size = (await limited.stat("more")).size
    assert size < 2 * size / (time.monotonic() - started), "two seconds of writing"
    assert (await run(limited, shell("rm big more"))).ending.exit_code == 0
    await used_becomes(limited, lambda used: used < MIB)
    fits = await run(limited, shell("head -c 5000000 /dev/zero > fits; sleep 1; exit 3"))
    assert (fits.ending.kind, fits.ending.exit_code) == ("exit", 3)


async def test_uploads_are_refused_until_there_is_room_again(limited: GuestChannel) -> None:
    assert is_told((await run(limited, shell(SLOW_WRITER.format("big"), timeout_s=60))).ending)
    with pytest.raises(DiskFullError, match="delete something"):
        await limited.write_file("more", b"x")
    await limited.remove("big")
    await used_becomes(limited, lambda used: used < MIB)
    assert (await limited.write_file("more", b"x")).size == 1


@pytest.mark.slow
async def test_an_upload_that_does_not_fit_leaves_nothing(limited: GuestChannel) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 2000:
            taken += 1
            yield bytes(MIB // 4)
            await asyncio.sleep(0.02)

    with pytest.raises(DiskFullError):
        await limited.write_file("big", endless())
    assert taken < 1000, "what is refused is not read any further"
    assert await limited.list_dir("") == []
    await used_becomes(limited, lambda used: used < MIB)


@pytest.mark.slow
async def test_who_writes_nothing_is_left_alone(limited: GuestChannel) -> None:
    bystander = await limited.exec(shell("sleep 6; echo done"))
    script = "exec 3> big; " + SLOW_WRITER.replace(">> {}", ">&3")
    assert is_told((await run(limited, shell(script, timeout_s=60))).ending)
    assert (await follow(bystander)).stdout == b"done\n"


async def test_the_figure_is_true_when_nothing_runs_any_more(limited: GuestChannel) -> None:
    await limited.set_limits(disk_bytes=64 << 30)  # one step of it is a gigabyte
    await used_becomes(limited, lambda used: used < MIB)
    assert (await run(limited, shell("head -c 9000000 /dev/zero > a"))).ending.exit_code == 0
    assert await used_becomes(limited, lambda used: used > 8 * MIB) < 10 * MIB


@pytest.mark.slow
async def test_the_figure_is_true_while_who_wrote_it_sleeps(limited: GuestChannel) -> None:
    await limited.set_limits(disk_bytes=10 << 30)
    await used_becomes(limited, lambda used: used < MIB)
    script = "i=0; while [ $i -lt 50 ]; do head -c 2000000 /dev/zero >> a; i=$((i+1)); done; "
    writing = await limited.exec(shell(script + "sleep 25; exit 3", timeout_s=60))
    began = time.monotonic()
    await used_becomes(limited, lambda used: abs(used - 100_000_000) < 11 * MIB)
    assert time.monotonic() - began < 20, "not by chance, when it is counted anyway"
    await writing.stop()
    assert (await follow(writing)).ending.kind == "stopped"


@pytest.mark.slow
async def test_a_neighbour_on_the_same_disk_is_left_alone(limited: GuestChannel) -> None:
    backend = ChildBackend()
    limits = Limits(disk_bytes=LIMIT)
    container_id = await backend.create(ContainerSpec("other", SLIM_IMAGE, "other", limits))
    neighbour = await open_channel(await backend.open(container_id))
    try:
        script = "for i in 1 2 3 4 5 6; do head -c 1000000 /dev/zero >> own; sleep 1; done; exit 4"
        working = await neighbour.exec(shell(script))
        assert is_told((await run(limited, shell(SLOW_WRITER.format("big"), timeout_s=60))).ending)
        assert (await follow(working)).ending.exit_code == 4
    finally:
        await neighbour.close()
        await backend.close()


@pytest.mark.slow
async def test_what_a_command_left_running_is_stopped_too(limited: GuestChannel) -> None:
    left = f"({SLOW_WRITER.format('big')}) </dev/null >/dev/null 2>&1 & echo $!"
    assert (await run(limited, shell(left))).ending.exit_code == 0
    await used_becomes(limited, lambda used: used > LIMIT)
    await asyncio.sleep(1)
    size = (await limited.stat("big")).size
    await asyncio.sleep(1)
    assert (await limited.stat("big")).size == size


@pytest.mark.docker
@pytest.mark.parametrize("limited", ["docker"], indirect=True)
@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp", "$HOME"])
async def test_the_containers_own_layer_counts(limited: GuestChannel, folder: str) -> None:
    script = f"cd {folder} && " + SLOW_WRITER.format("big")
    assert is_told((await run(limited, shell(script, timeout_s=60))).ending)


@pytest.mark.docker
@pytest.mark.parametrize("limited", ["docker"], indirect=True)
async def test_the_image_itself_does_not_count(limited: GuestChannel) -> None:
    await run(limited, shell("sleep 1"))
    assert await used_becomes(limited, lambda used: used < MIB) < MIB


@pytest.mark.slow
async def test_the_limit_can_be_set_later(limited: GuestChannel) -> None:
    await limited.set_limits(disk_bytes=4 * LIMIT)
    assert (await limited.usage()).disk_limit_bytes == 4 * LIMIT
    fits = await run(limited, shell("head -c 20000000 /dev/zero > big; sleep 1"))
    assert fits.ending.kind == "exit"
    await limited.set_limits(disk_bytes=None)
    assert (await limited.usage()).disk_limit_bytes is None
    fits = await run(limited, shell("head -c 60000000 /dev/zero > big; sleep 1"))
    assert fits.ending.kind == "exit"


@pytest.mark.parametrize("value", [0, -1, True, "1", 1.5, 1 << 63])
async def test_a_limit_that_makes_no_sense_is_refused(
    limited: GuestChannel, value: object
) -> None:
    async with Request(limited._connection, "set_limits", disk_bytes=value) as request:
        with pytest.raises(InvalidInputError):
            await request.result()
    assert (await limited.usage()).disk_limit_bytes == LIMIT
