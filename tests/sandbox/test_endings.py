"""Every command ends in exactly one way, and the true one."""

import time

import pytest

from sessions.errors import DiskFullError
from tests.sandbox.running import command, run, shell


async def test_a_timeout_kills_the_tree_and_says_so(sandbox):
    started = time.perf_counter()
    outcome = await run(sandbox, shell("echo start; sleep 50 & sleep 50", timeout_s=0.3))
    assert time.perf_counter() - started < 20
    assert (outcome.ending.kind, outcome.ending.timeout_s) == ("timeout", 0.3)
    assert outcome.stdout == b"start\n"
    assert outcome.end.duration_ms >= 300


async def test_a_command_within_its_time_is_not_disturbed(sandbox):
    outcome = await run(sandbox, shell("sleep 0.1; echo done", timeout_s=5))
    assert outcome.ending.kind == "exit"


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "PIPE", "USR1"])
async def test_a_signal_is_named(sandbox, name):
    outcome = await run(sandbox, shell(f"ulimit -c 0; kill -{name} $$; sleep 5"))
    assert (outcome.ending.kind, outcome.ending.signal) == ("signal", f"SIG{name}")
    assert outcome.ending.exit_code is None


async def test_a_child_that_was_killed_is_an_exit_of_its_shell(sandbox):
    outcome = await run(sandbox, shell("sh -c 'kill -9 $$'; exit $?"))
    assert (outcome.ending.kind, outcome.ending.exit_code) == ("exit", 137)


@pytest.mark.parametrize("code", [0, 1, 42, 255])
async def test_every_exit_code_is_told(sandbox, code):
    assert (await run(sandbox, command("/bin/sh", "-c", f"exit {code}"))).ending.exit_code == code


async def test_stopped_is_told_though_the_command_catches_signals(sandbox):
    execution = await sandbox.exec(
        shell("trap '' TERM INT HUP; echo up; while :; do sleep 1; done")
    )
    async for item in execution:
        if hasattr(item, "data"):
            await execution.stop()
        else:
            assert item.ending.kind == "stopped"


@pytest.mark.docker
async def test_a_full_disk_is_told(full_disk):
    outcome = await run(full_disk, shell("head -c 50000000 /dev/zero > big"))
    assert outcome.ending.kind == "disk_full"
    assert outcome.ending.limit_bytes == 2 << 20
    with pytest.raises(DiskFullError):
        await full_disk.write_file("more", bytes(1 << 20))
    assert [entry.name for entry in await full_disk.list_dir("")] == ["big"]
    await full_disk.remove("big")
    assert (await run(full_disk, shell("exit 1"))).ending.kind == "exit"


async def test_running_out_of_memory_is_told_with_its_figures(box, sandbox):
    if not box.is_container:
        return  # only a container has a limit of its own
    outcome = await run(sandbox, command("python3", "-c", "x = b'x' * 10**9"))
    assert outcome.ending.kind == "oom"
    assert outcome.ending.limit_bytes == 256 << 20
    assert outcome.ending.peak_bytes
    assert outcome.ending.peak_bytes > 200 << 20
    assert (await run(sandbox, shell("echo alive"))).stdout == b"alive\n"
