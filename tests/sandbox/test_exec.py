"""What a command gets and what comes back from it."""

import asyncio
import hashlib

import pytest

from sessions.errors import InvalidInputError
from sessions.sandbox.base import ExecOutput
from sessions.sandbox.setup import User
from tests.sandbox.running import command, first_line, follow, run, shell


async def test_stdout_stderr_and_exit_code_come_apart(sandbox):
    outcome = await run(sandbox, shell("echo out; echo err >&2; exit 3"))
    assert outcome.stdout == b"out\n"
    assert outcome.stderr == b"err\n"
    assert (outcome.ending.kind, outcome.ending.exit_code) == ("exit", 3)
    assert (outcome.end.stdout_bytes, outcome.end.stderr_bytes) == (4, 4)


async def test_argv_is_passed_as_it_is(sandbox):
    outcome = await run(sandbox, command("/usr/bin/printf", "%s|", "a b", "$HOME", "", "'\"\n"))
    assert outcome.stdout == b"a b|$HOME||'\"\n|"


async def test_argv_may_hold_any_bytes(sandbox):
    word = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert (await run(sandbox, command("/usr/bin/printf", "%s", word))).stdout == b"\xff\xfe"


async def test_commands_run_as_the_workspace_user_in_the_workspace(sandbox):
    outcome = await run(sandbox, shell('id -u; id -g; pwd; echo "$HOME" "$USER"; touch made'))
    uid, gid, folder, names = outcome.stdout.decode().split("\n")[:4]
    assert (uid, gid) == ("1000", "1000")
    assert names.endswith(" agent")
    assert folder.startswith("/")
    assert (await sandbox.stat("made")).kind == "file"


async def test_a_command_may_be_another_users(sandbox):
    script = 'id -u; id -g; echo "$HOME" "$USER" "$LOGNAME"; touch made 2>/dev/null || echo no'
    outcome = await run(sandbox, shell(script, user=User(2000, 2001)))
    assert outcome.stdout == b"2000\n2001\n/tmp 2000 2000\nno\n"
    outcome = await run(sandbox, shell("id -u; tty", user=User(2000, 2001), stdin=True))
    assert outcome.stdout.startswith(b"2000\n")


async def test_a_command_may_be_roots_and_its_tree_goes_with_it(sandbox):
    outcome = await run(sandbox, shell('id -u; echo "$HOME"; touch made', user=User(0, 0)))
    assert outcome.stdout == b"0\n/root\n"
    assert (await sandbox.stat("made")).kind == "file"
    execution = await sandbox.exec(shell("sleep 300 & echo $!; sleep 300", user=User(0, 0)))
    pid = int(await first_line(execution))
    await execution.stop()
    assert (await follow(execution)).ending.kind == "stopped"
    look = shell(f"kill -0 {pid} 2>/dev/null && echo alive", user=User(0, 0))
    assert (await run(sandbox, look)).stdout == b""


async def test_environment_is_a_sane_base_and_what_was_asked(sandbox):
    request = command("/usr/bin/env", env={"EXTRA": "a=b\nc", "TERM": "dumb"})
    lines = (await run(sandbox, request)).stdout.decode().split("\n")
    for expected in ("EXTRA=a=b", "TERM=dumb", "LANG=C.UTF-8", "PYTHONUNBUFFERED=1"):
        assert expected in lines
    assert any(line.startswith("PATH=") and "/usr/local/bin" in line for line in lines)


async def test_no_descriptor_of_the_guest_leaks(sandbox):
    outcome = await run(sandbox, shell("for f in /proc/self/fd/*; do echo ${f##*/}; done"))
    assert set(outcome.stdout.split()) <= {b"0", b"1", b"2", b"3"}  # 3: the glob's own folder


async def test_commands_can_open_their_streams_by_name(sandbox):
    script = "echo out >/dev/stdout; echo err >/dev/stderr; cat /dev/stdin"
    execution = await sandbox.exec(shell(script, stdin=True))
    await execution.write_stdin(b"in\n")
    await execution.close_stdin()
    outcome = await follow(execution)
    assert (outcome.stdout, outcome.stderr) == (b"out\nin\n", b"err\n")


async def test_nothing_of_the_guests_power_is_left(sandbox):
    names = "Uid|Gid|CapInh|CapPrm|CapEff|CapAmb"
    lines = (await run(sandbox, shell(f"grep -E '^({names})' /proc/self/status"))).stdout
    fields = dict(line.split(b":\t") for line in lines.splitlines())
    assert set(fields[b"Uid"].split()) == set(fields[b"Gid"].split()) == {b"1000"}
    assert {int(fields[name], 16) for name in (b"CapPrm", b"CapEff", b"CapAmb")} == {0}
    outcome = await run(sandbox, shell("sleep 0.1; cat /proc/$PPID/environ || kill -9 $PPID"))
    assert outcome.ending.exit_code != 0
    assert outcome.stdout == b""


@pytest.mark.docker
async def test_commands_cannot_end_the_guest(box, sandbox):
    """Not even while it starts them, when it has their user id."""
    if not box.is_container:
        return  # nothing protects a plain child process
    for _attempt in range(50):
        await run(sandbox, shell("kill -TERM 1; kill -INT 1; kill -KILL 1; kill -HUP 1"))
    assert (await run(sandbox, shell("echo alive"))).stdout == b"alive\n"


async def test_signals_are_as_a_shell_expects_them(sandbox):
    outcome = await run(sandbox, shell("grep -E 'Sig(Blk|Ign)' /proc/self/status"))
    _, blocked, _, ignored = outcome.stdout.split()
    # 32 and 33 belong to the C library's threads; no program can set them.
    assert int(blocked, 16) & ~(0b11 << 31) == 0
    assert int(ignored, 16) & ~(0b11 << 31) == 0


async def test_each_command_leads_its_own_session(sandbox):
    outcome = await run(sandbox, shell("cut -d' ' -f1,6 /proc/$$/stat"))
    pid, session = outcome.stdout.split()
    assert pid == session


async def test_stdin_is_empty_unless_asked_for(sandbox):
    outcome = await run(sandbox, shell("cat; echo read"))
    assert outcome.stdout == b"read\n"


async def test_stdin_is_streamed_and_closed(sandbox):
    execution = await sandbox.exec(shell("sha256sum", stdin=True))
    data = bytes(range(256)) * 8192
    await execution.write_stdin(data)
    await execution.close_stdin()
    outcome = await follow(execution)
    assert outcome.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


async def test_writing_to_a_command_that_reads_nothing_ends_with_it(sandbox):
    execution = await sandbox.exec(shell("exec <&-; sleep 0.2", stdin=True))
    async with asyncio.timeout(20):
        writing = asyncio.create_task(execution.write_stdin(bytes(4 << 20)))
        outcome = await follow(execution)
        await writing
    assert outcome.ending.exit_code == 0


async def test_bytes_come_as_they_are_also_split_characters(sandbox):
    script = r"printf '\303'; sleep 0.05; printf '\251\377\000\r\n'; sleep 0.05; printf '\360\237'"
    assert (await run(sandbox, shell(script))).stdout == b"\xc3\xa9\xff\x00\r\n\xf0\x9f"


async def test_output_comes_before_the_end(sandbox):
    execution = await sandbox.exec(shell("echo early; read line; echo late", stdin=True))
    async with asyncio.timeout(20):
        assert await first_line(execution) == b"early\n"
        await execution.write_stdin(b"go\n")
        assert (await follow(execution)).stdout == b"late\n"


@pytest.mark.slow
async def test_a_flood_arrives_whole(sandbox):
    size = 64 << 20
    script = f"head -c {size} /dev/urandom | tee flood; sha256sum flood >&2"
    execution = await sandbox.exec(shell(script))
    digest, expected, received = hashlib.sha256(), b"", 0
    async for item in execution:
        if not isinstance(item, ExecOutput):
            continue
        if item.stream == "stdout":
            assert item.offset == received
            digest.update(item.data)
            received += len(item.data)
        else:
            expected += item.data
        await execution.ack(item.stream, item.offset + len(item.data))
    assert received == size
    assert digest.hexdigest() == expected.split()[0].decode()


async def test_several_commands_at_once(sandbox):
    async def one(number):
        outcome = await run(sandbox, shell(f"echo {number}; sleep 0.2; echo {number} >&2"))
        return outcome.stdout, outcome.stderr

    started = asyncio.get_running_loop().time()
    outcomes = await asyncio.gather(*(one(number) for number in range(20)))
    assert outcomes == [(b"%d\n" % number, b"%d\n" % number) for number in range(20)]
    assert asyncio.get_running_loop().time() - started < 2


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (("no-such-command",), 127, b"no-such-command: command not found"),
        (("/no/such/file",), 127, b"/no/such/file: No such file or directory"),
        (("/etc/passwd",), 126, b"/etc/passwd: Permission denied"),
        (("/tmp",), 126, b"/tmp: Permission denied"),
    ],
)
async def test_what_cannot_be_started_fails_as_in_a_shell(sandbox, argv, status, message):
    outcome = await run(sandbox, command(*argv))
    assert (outcome.ending.kind, outcome.ending.exit_code) == ("exit", status)
    assert message in outcome.stderr


async def test_a_missing_folder_is_told(sandbox):
    outcome = await run(sandbox, shell("true", cwd="/workspace/gone"))
    assert outcome.ending.exit_code == 126
    assert b"cannot enter" in outcome.stderr
    assert b"No such file or directory" in outcome.stderr


async def test_the_log_file_has_both_streams_in_order(sandbox):
    script = "echo one; sleep 0.05; echo two >&2; sleep 0.05; echo three"
    outcome = await run(sandbox, shell(script))
    kept = await run(sandbox, command("cat", outcome.end.log_path))
    assert kept.stdout == b"one\ntwo\nthree\n"


async def test_no_log_file_where_none_was_asked_for_or_nothing_said(sandbox):
    assert (await run(sandbox, shell("echo x", keep_log=False))).end.log_path == ""
    assert (await run(sandbox, shell("true"))).end.log_path == ""


@pytest.mark.parametrize("exec_id", ["", "../escape", ".hidden", "a/b", "x" * 200, "a\nb"])
async def test_ids_that_are_no_file_names_are_refused(sandbox, exec_id):
    request = shell("true")
    bad = type(request)(exec_id=exec_id, argv=request.argv)
    with pytest.raises(InvalidInputError):
        await run(sandbox, bad)
    assert (await run(sandbox, shell("echo fine"))).stdout == b"fine\n"


async def test_a_command_that_is_too_long_is_refused(sandbox):
    with pytest.raises(InvalidInputError):
        await sandbox.exec(shell("x" * (2 << 20)))
    assert (await run(sandbox, shell("echo fine"))).stdout == b"fine\n"


async def test_usage_tells_what_the_kernel_tells(box, sandbox):
    usage = await sandbox.usage()
    assert usage.disk_total_bytes
    assert usage.disk_free_bytes
    if box.is_container:
        assert usage.memory_bytes
        assert usage.memory_limit_bytes == 256 << 20
        assert usage.pids_limit == 200
        assert usage.cpu_seconds
