"""The Python kernel of a container, below the tool that uses it."""

import pytest

from sessions.agent.tools.python_kernel import NoKernelError, PythonKernel, pictures
from sessions.errors import CommandForgottenError
from sessions.sandbox import names
from sessions.sandbox.base import ExecRequest, Sandbox
from sessions.sandbox.docker import DockerBackend
from tests.docker.conftest import Connect, Spec
from tests.sandbox.running import follow

pytestmark = [pytest.mark.docker, pytest.mark.slow]
SHELL = "/bin/sh"


async def run(sandbox: Sandbox, kernel: PythonKernel, call_id: str, code: str) -> str:
    await kernel.ensure(sandbox, SHELL)
    argv, env = kernel.client(call_id, code, is_known=False)
    outcome = await follow(await sandbox.exec(ExecRequest(call_id, argv, env=env)))
    return outcome.stdout.decode()


async def test_an_image_without_python_gets_a_clear_word(
    connect: Connect, backend: DockerBackend, spec: Spec, busybox_image: str
) -> None:
    sandbox = await connect(await backend.create(spec(busybox_image)))
    for _ in range(2):
        with pytest.raises(NoKernelError, match="this image has none"):
            await PythonKernel().ensure(sandbox, SHELL)


async def test_another_process_finds_the_kernel_that_runs(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    container = await backend.create(spec(names.SLIM_IMAGE))
    first, second = await connect(container), await connect(container)
    assert await run(first, PythonKernel(), "a", "x = 1") == ""
    assert await run(second, PythonKernel(), "b", "x") == "1\n"


async def test_a_waiting_kernel_is_no_work_and_one_that_computes_is(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    """So that it keeps no container from being suspended."""
    sandbox = await connect(await backend.create(spec(names.SLIM_IMAGE)))
    kernel = PythonKernel()
    await run(sandbox, kernel, "a", "import os; pid = os.getppid()")
    in_use = [sandbox.is_in_use]
    before = await sandbox.usage(with_programs=True)
    assert before.programs == 2, "the kernel and its worker"
    reading = ExecRequest("w", (SHELL, "-c", "sleep 2"))
    await follow(await sandbox.exec(reading))
    after = await sandbox.usage(with_programs=True)
    assert before.cpu_seconds is not None
    assert after.cpu_seconds is not None
    assert after.cpu_seconds - before.cpu_seconds < 0.5
    argv, env = kernel.client("c", "while True: pass", is_known=True)
    computing = await sandbox.exec(ExecRequest("c", argv, env=env))
    in_use.append(sandbox.is_in_use)
    await computing.stop()
    await follow(computing)
    assert [*in_use, sandbox.is_in_use] == [False, True, False]


async def test_a_kernel_that_was_killed_is_replaced_by_the_next(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    sandbox = await connect(await backend.create(spec(names.SLIM_IMAGE)))
    kernel = PythonKernel()
    await run(sandbox, kernel, "a", "x = 1; import os")
    await run(sandbox, kernel, "b", "os.kill(os.getppid(), 9)")
    assert await run(sandbox, PythonKernel(), "c", "'x' in globals()") == "False\n"


async def test_kernels_that_the_guest_forgot_are_passed_over(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    sandbox = await connect(await backend.create(spec(names.SLIM_IMAGE)))
    kernel = PythonKernel()
    await run(sandbox, kernel, "a", "import os")
    await run(sandbox, kernel, "b", "os.kill(os.getppid(), 9)")
    await follow(await sandbox.exec(ExecRequest("python.kernel.1", ("true",))))  # its end is told
    for number in range(300):
        await follow(await sandbox.exec(ExecRequest(f"other.{number}", ("true",))))
    with pytest.raises(CommandForgottenError):
        await follow(await sandbox.exec(ExecRequest("python.kernel.1", ("true",))))
    assert await run(sandbox, PythonKernel(), "c", "1 + 1") == "2\n"


def test_what_a_container_says_are_pictures_is_looked_at() -> None:
    png = "iVBORw0KGgo="
    assert pictures(b"") == []
    assert pictures(b"{") == []
    assert pictures(b"[" * 100_000) == []
    assert (
        pictures(b'[1, {"kind": "svg", "data": "x"}, {"kind": "png", "data": "PHN2Zz4="}]') == []
    )
    assert pictures(b'[{"kind": "png", "data": "%s"}]' % png.encode()) == [
        f"data:image/png;base64,{png}"
    ]
