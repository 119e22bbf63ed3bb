"""What an agent finds in the images."""

import pytest

from sessions.sandbox import names
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.docker_client import AsyncDocker
from tests.docker.conftest import Connect, Spec, output_of

pytestmark = pytest.mark.docker

BOTH = [names.SANDBOX_IMAGE, names.SLIM_IMAGE]
FULL_TOOLS = (
    "python python3 pip node npm git gcc g++ make curl jq rg sqlite3 zip unzip ps less vi file "
    "xz tree pytest htop nano"
)


@pytest.mark.parametrize("image", BOTH)
async def test_the_user_is_agent_at_home_in_the_workspace(
    connect: Connect, backend: DockerBackend, spec: Spec, image: str
) -> None:
    sandbox = await connect(await backend.create(spec(image)))
    script = "id -un; id -u; echo $HOME; pwd; readlink -f /mnt/data; stat -c %U /workspace $HOME"
    output = await output_of(sandbox, "bash", "-c", script)
    assert output.split() == [
        "agent",
        "1000",
        "/home/agent",
        "/workspace",
        "/workspace",
        "agent",
        "agent",
    ]


@pytest.mark.parametrize("image", BOTH)
async def test_python_is_whole(
    connect: Connect, backend: DockerBackend, spec: Spec, image: str
) -> None:
    sandbox = await connect(await backend.create(spec(image)))
    code = "import ctypes, json, lzma, sqlite3, ssl, unittest, zipfile; print('grün')"
    assert await output_of(sandbox, "python", "-c", code) == "grün\n"


async def test_the_sandbox_has_its_tools(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    sandbox = await connect(await backend.create(spec(names.SANDBOX_IMAGE)))
    script = f"for tool in {FULL_TOOLS}; do command -v $tool >/dev/null || echo $tool; done"
    assert await output_of(sandbox, "sh", "-c", script) == ""


async def test_pip_and_venv_work_without_a_flag(
    connect: Connect, backend: DockerBackend, spec: Spec
) -> None:
    """Without a network nothing can be fetched, but a local package installs."""
    sandbox = await connect(await backend.create(spec(names.SANDBOX_IMAGE)))
    script = """set -e
    python -m venv env && env/bin/pip --version
    mkdir pack && cd pack && echo 'print("hi")' > hello_berth.py
    printf 'from setuptools import setup\\nsetup(name="hello-berth", py_modules=["hello_berth"])' \
        > setup.py
    pip install --no-index --no-build-isolation . 2>&1 && cd / && python -m hello_berth"""
    output = await output_of(sandbox, "sh", "-c", script)
    assert output.splitlines()[-1] == "hi"


async def test_the_sandbox_image_stays_under_a_gigabyte(docker: AsyncDocker) -> None:
    assert (await docker.inspect_image(names.SANDBOX_IMAGE))["Size"] < 1_000_000_000


@pytest.mark.parametrize("image", BOTH)
async def test_nothing_of_the_build_is_left(
    connect: Connect, backend: DockerBackend, docker: AsyncDocker, spec: Spec, image: str
) -> None:
    config = (await docker.inspect_image(image))["Config"]
    assert not [name for name in config["Env"] if "proxy" in name.lower()]
    assert config["User"] == "agent"
    sandbox = await connect(await backend.create(spec(image)))
    script = 'find /var/lib/apt/lists /var/cache/apt/archives -name "*.deb" -o -name "*_Packages" 2>/dev/null; true'
    assert (await output_of(sandbox, "sh", "-c", script)).strip() == ""
