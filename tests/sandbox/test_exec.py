from tests.sandbox.running import command, run, shell


async def test_stdout_stderr_and_exit_code_come_apart(sandbox):
    outcome = await run(sandbox, shell("echo out; echo err >&2; exit 3"))
    assert outcome.stdout == b"out\n"
    assert outcome.stderr == b"err\n"
    assert (outcome.ending.kind, outcome.ending.exit_code) == ("exit", 3)
    assert (outcome.end.stdout_bytes, outcome.end.stderr_bytes) == (4, 4)


async def test_argv_is_passed_as_it_is(sandbox):
    outcome = await run(sandbox, command("/usr/bin/printf", "%s|", "a b", "$HOME", "", "'\"\n"))
    assert outcome.stdout == b"a b|$HOME||'\"\n|"
