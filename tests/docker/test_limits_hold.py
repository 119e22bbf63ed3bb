"""What people fear of an agent's commands, each in a real container through the agent's tools.

After each the session says what happened, the next command works, and nothing of it is alive.
"""

import asyncio
import dataclasses
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from sessions import services
from sessions.errors import SandboxError
from sessions.events.types import CallEnded, Output, OutputDropped
from sessions.sandbox.base import Sandbox
from sessions.sandbox.limits import MIB
from tests.docker.turns import LIMITS, Turns, turns
from tests.sandbox.memory import peak_mb, proportional_mb

pytestmark = [pytest.mark.docker, pytest.mark.slow]

FILES = 200_000
OUTPUT_BYTES = 300_000_000
BOMB = "bomb() { bomb | bomb & }; bomb"
STUBBORN = """
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None)
for number in set(range(1, 65)) - {9, 19, 32, 33}:
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
def child(act):
    if os.fork() == 0:
        act()
        while True: time.sleep(5533)
def traced():
    if os.fork() == 0:
        libc.ptrace(0, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
child(lambda: os.kill(os.getpid(), signal.SIGSTOP))
child(traced)
child(lambda: libc.vfork() or libc.sleep(5533))
child(lambda: [os.setsid(), os.fork() and os._exit(0), os.closerange(0, 256)])
print("up", flush=True)
while True: time.sleep(5533)
"""


async def check_alive(session: Turns) -> None:
    """The guest answers, the next command works, and nothing runs beside it."""
    async with asyncio.timeout(30):
        assert (await (await session.sandbox()).usage()).pids
    call = await session.run("echo alive")
    assert (call.ending, call.output) == ({"kind": "exit", "exit_code": 0}, b"alive\n")
    assert await session.processes() == []


async def guest_pid(session: Turns) -> int:
    """As the host sees it."""
    container = await session.container()
    info = await session.docker.call(lambda api: api.inspect_container(container))
    return int(info["State"]["Pid"])


async def guest_mb(session: Turns) -> float:
    return proportional_mb(await guest_pid(session))


def open_fds(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def set_timeout(session: Turns, seconds: float) -> None:
    session.session.limits = LIMITS.to_json() | {"command_timeout_s": seconds}
    await session.session.asave(update_fields=["limits"])


async def test_a_fork_bomb_in_the_foreground_is_timed_out(alice: User) -> None:
    async with turns(alice) as session:
        await set_timeout(session, 3.0)
        call = await session.run(BOMB + "; while :; do sleep 1; done")
        # The shell itself may find no room for its next child, and says so.
        is_refused = call.ending["kind"] == "exit" and call.ending["exit_code"] != 0
        assert call.ending["kind"] == "timeout" or is_refused, call
        assert call.ending["kind"] == "timeout" or b"fork" in call.output.lower(), call
        await check_alive(session)


async def test_a_fork_bomb_in_the_background_makes_room_for_the_next_command(alice: User) -> None:
    async with turns(alice) as session:
        await session.run(BOMB)
        await asyncio.sleep(1)
        for _ in range(3):
            call = await session.run("echo alive")
            assert (call.ending, call.output) == ({"kind": "exit", "exit_code": 0}, b"alive\n")
        # As far as it left room by itself it goes on: what a command leaves behind may.
        await session.run("kill -9 -1")
        await check_alive(session)


FILLING = """python3 -c 'import os, time
while True:
    try:
        if os.fork() == 0:
            time.sleep(5544)
    except OSError:
        time.sleep(0.002)
'"""


async def _is_refused(sandbox: Sandbox) -> bool:
    try:
        await sandbox.list_dir("")
    except SandboxError as error:
        return "no process more may be started" in error.message
    return False


async def test_a_fork_bomb_can_be_stopped_while_files_are_refused_honestly(alice: User) -> None:
    async with turns(alice) as session:
        await session.begin([FILLING])
        async with asyncio.timeout(30):
            usage = await (await session.sandbox()).usage()
            while not usage.pids or not usage.pids_limit or usage.pids < usage.pids_limit:
                await asyncio.sleep(0.05)
                usage = await (await session.sandbox()).usage()
        guest = await guest_pid(session)
        fds = open_fds(guest)
        refused = 0
        for _request in range(50):
            refused += await _is_refused(await session.sandbox())
        assert refused > 40  # the others came when one of Berth's own had just ended
        assert open_fds(guest) <= fds  # fewer when the disk was being counted a moment ago
        await services.turn_stop(session=session.session)
        (call,) = await session.end()
        assert call.ending["kind"] == "stopped"
        assert await (await session.sandbox()).list_dir("") == []
        await check_alive(session)


async def test_a_memory_hog_takes_nothing_else_along(alice: User) -> None:
    async with turns(alice) as session:
        hog = "python3 -c 'x = bytearray(2 * 10**9)'"
        calls = await session.run_all([hog, "sleep 2; echo spared"])
        assert calls[0].ending["kind"] == "oom"
        assert (calls[1].ending["kind"], calls[1].output) == ("exit", b"spared\n")
        await check_alive(session)


async def test_a_flood_of_output_is_stored_to_its_limit_and_counted(alice: User) -> None:
    async with turns(alice) as session:
        call = await session.run(f"head -c {OUTPUT_BYTES} /dev/zero | tr '\\0' x")
        assert call.ending == {"kind": "exit", "exit_code": 0}
        (ended,) = await session.log.of(CallEnded)
        assert ended.stdout_bytes == OUTPUT_BYTES
        dropped = sum(body.length for body in await session.log.of(OutputDropped))
        stored = sum(len(body.content) for body in await session.log.of(Output))
        assert stored + dropped == OUTPUT_BYTES
        assert stored <= LIMITS.max_output_bytes * 9 // 8
        await check_alive(session)


@pytest.mark.timeout(400)
async def test_many_files_are_listed_archived_and_removed_at_flat_memory(alice: User) -> None:
    async with turns(alice) as session:
        script = (
            "import os\n"
            f"for n in range({FILES}):\n"
            "    if n < 100: os.makedirs(f'many/{n}')\n"
            "    os.close(os.open(f'many/{n % 100}/{n}', os.O_CREAT))\n"
        )
        call = await session.run(f'python3 -c "{script}"', timeout_s=150)
        assert call.ending == {"kind": "exit", "exit_code": 0}
        before = await guest_mb(session)
        sandbox = await session.sandbox()
        assert len(await sandbox.list_dir("many/7")) == FILES // 100
        size = 0
        async for chunk in sandbox.archive("many", format="tar"):
            size += len(chunk)
        assert size > FILES * 512
        await sandbox.remove("many")
        assert await sandbox.list_dir("") == []
        assert await guest_mb(session) - before < 4
        await check_alive(session)


async def test_a_sparse_terabyte_is_a_file_like_others(alice: User) -> None:
    async with turns(alice) as session:
        assert (await session.run("truncate -s 1T big")).ending["kind"] == "exit"
        sandbox = await session.sandbox()
        assert (await sandbox.stat("big")).size == 1 << 40
        for stream in (sandbox.read_file("big"), sandbox.archive("", format="zip")):
            seen = 0
            async for chunk in stream:
                seen += len(chunk)
                if seen > 32 * MIB:
                    break
            await stream.aclose()  # type: ignore[attr-defined]  # a generator
        await sandbox.remove("big")
        await asyncio.sleep(2.5)  # a file process that was cancelled has two seconds
        await check_alive(session)


async def test_kill_everything_spares_the_guest(alice: User) -> None:
    async with turns(alice) as session:
        call = await session.run("sleep 5566 & kill -9 -1; wait $!; echo $?")
        assert (call.ending["kind"], call.output.splitlines()[-1]) == ("exit", b"137")
        before = await session.container()
        call = await session.run("trap '' TERM; kill -TERM -1; kill -9 1; kill -9 $$")
        assert call.ending == {"kind": "signal", "signal": "SIGKILL"}
        both = await session.run_all(["sleep 1; kill -9 -1", "sleep 5566"])
        assert [call.ending["kind"] for call in both] == ["exit", "signal"]
        await check_alive(session)
        assert await session.container() == before


@pytest.mark.parametrize("is_stopped", [False, True], ids=["timeout", "stop"])
async def test_nothing_escapes_by_ignoring_stopping_tracing_or_vfork(
    alice: User, is_stopped: bool
) -> None:
    async with turns(alice) as session:
        await set_timeout(session, 60.0 if is_stopped else 4.0)
        await session.begin([f"cat > s.py <<'END'\n{STUBBORN}\nEND\npython3 s.py"])
        await session.log.wait_for(lambda body: isinstance(body, Output))
        async with asyncio.timeout(15):
            while len(found := await session.processes()) < 7:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert {"T", "t", "D"} <= {line[0] for line in found}, "stopped, traced, in vfork"
        if is_stopped:
            await services.turn_stop(session=session.session)
        await session.log.wait_for(lambda body: isinstance(body, CallEnded))
        assert await session.processes() == []
        (call,) = await session.end()
        assert call.ending["kind"] == ("stopped" if is_stopped else "timeout")
        await check_alive(session)


async def test_nothing_of_the_kernels_can_be_written(alice: User) -> None:
    async with turns(alice) as session:
        paths = (
            "/proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/panic_on_oom "
            "/proc/1/oom_score_adj /proc/1/mem /proc/1/environ /proc/irq/default_smp_affinity "
            "/sys/kernel/mm/transparent_hugepage/enabled /sys/fs/cgroup/memory/memory.limit_in_bytes "
            "/sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max "
            "/sys/fs/cgroup/cgroup.procs /run/berth/guest.sock /.berth/x"
        )
        script = (
            f"for path in {paths}; do (echo 1 > $path) 2>/dev/null && echo wrote $path; done; "
            "(echo -900 > /proc/self/oom_score_adj) 2>/dev/null && echo wrote own score; "
            "cat /proc/1/maps /proc/1/mem 2>/dev/null; echo done"
        )
        assert (await session.run(script)).output == b"done\n"
        await check_alive(session)


@pytest.mark.parametrize("limit", ["-n 0", "-v 1000", "-f 0", "-s 8", "-u 0", "-t 0", "-d 0"])
async def test_a_command_that_limits_itself_limits_nothing_else(alice: User, limit: str) -> None:
    async with turns(alice) as session:
        call = await session.run(f"ulimit {limit}; echo x > own; python3 -c 'open(\"own\")'; ls")
        assert call.ending["kind"] in ("exit", "signal")
        await check_alive(session)


async def test_64_commands_at_once_end_with_their_own_output(alice: User) -> None:
    # Each is a shell and its child.
    limits = dataclasses.replace(LIMITS, pids=256)
    async with turns(alice, limits) as session:
        calls = await session.run_all([f"sleep 0.2; seq {n} {n + 50}" for n in range(64)])
        assert len(calls) == 64
        for n, call in enumerate(calls):
            assert call.ending == {"kind": "exit", "exit_code": 0}
            assert call.output == b"".join(b"%d\n" % value for value in range(n, n + 51))
        await check_alive(session)


async def test_64_floods_at_once_are_whole_and_leave_the_guest_small(alice: User) -> None:
    """Each of them alone may have 4 MiB waiting, which together would be all of the memory."""
    limits = dataclasses.replace(LIMITS, pids=256, memory_bytes=256 * MIB)
    size = 3_000_000
    async with turns(alice, limits) as session:
        await session.run("true")
        guest = await guest_pid(session)
        before = peak_mb(guest)
        calls = await session.run_all([f"head -c {size} /dev/zero" for _ in range(64)])
        for call in calls:
            assert call.ending == {"kind": "exit", "exit_code": 0}
            assert len(call.output) == size
        assert peak_mb(guest) - before < 64
        await check_alive(session)
