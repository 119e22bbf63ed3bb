"""Fifty who come at once, over the network, to a real engine with two containers waiting."""

from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from tests.api.conftest import make_key
from tests.e2e.conftest import docker
from tests.serve.raw_http import wait_until
from tests.serve.server_process import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.docker]

PROGRAMS = 50
WAITING = 2
"""The pool of a server that was told nothing of it."""
REMOVAL_TIMEOUT_S = 120.0
MINE = "/workspace/mine.txt"


def containers_of(server: ServerProcess) -> list[str]:
    label = f"label=berth.installation={server.environment['BERTH_INSTALLATION_ID']}"
    return docker("ps", "--quiet", "--filter", label).split()


def marks_in(containers: list[str]) -> list[str]:
    """What each program left in its container; of those of the pool nothing."""
    look = f"cat {MINE} 2>/dev/null || true"
    with ThreadPoolExecutor(8) as threads:
        told = threads.map(lambda one: docker("exec", one, "sh", "-c", look).strip(), containers)
        return [mark for mark in told if mark]


@pytest.mark.timeout(600)
def test_each_gets_a_container_of_its_own_and_none_is_left(docker_server: ServerProcess) -> None:
    with (
        openai.OpenAI(
            api_key=make_key(docker_server), base_url=f"{docker_server.url}/v1", timeout=300
        ) as client,
        ThreadPoolExecutor(PROGRAMS) as threads,
    ):

        def come(number: int) -> str:
            made = client.containers.create(name=f"Program {number}")
            client.containers.files.create(made.id, file=("mine.txt", f"{number}".encode()))
            return made.id

        made = list(threads.map(come, range(PROGRAMS)))
        assert len(set(made)) == PROGRAMS
        marks = marks_in(containers_of(docker_server))
        assert sorted(map(int, marks)) == list(range(PROGRAMS))
        list(threads.map(client.containers.delete, made))
    assert wait_until(
        lambda: len(containers_of(docker_server)) <= WAITING, within_s=REMOVAL_TIMEOUT_S
    )
    assert not marks_in(containers_of(docker_server)), "only those that wait for the next"
