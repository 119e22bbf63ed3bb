"""The official client, over the network, against a real server with real containers."""

import time
from collections.abc import Iterator

import openai
import pytest

from tests.api.conftest import make_key
from tests.e2e.conftest import docker
from tests.serve.server_process import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.docker]

REMOVAL_TIMEOUT_S = 30.0


@pytest.fixture
def client(docker_server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key=make_key(docker_server),
        base_url=f"{docker_server.url}/v1",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def test_files_go_in_and_come_out_of_a_real_container(
    client: openai.OpenAI, docker_server: ServerProcess
) -> None:
    kept = client.files.create(file=("ships.csv", b"name\nElbe\n"), purpose="user_data")
    made = client.containers.create(name="Harbour", memory_limit="1g", file_ids=[kept.id])
    client.containers.files.create(made.id, file=("notes.txt", b"two\n"))
    listed = {file.path: file for file in client.containers.files.list(made.id)}
    assert set(listed) == {"/mnt/data/ships.csv", "/mnt/data/notes.txt"}
    files = client.containers.files
    content = files.content.retrieve(listed["/mnt/data/ships.csv"].id, container_id=made.id)
    assert content.read() == b"name\nElbe\n"
    assert client.containers.retrieve(made.id).to_dict()["state"] == "connected"
    client.containers.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.containers.retrieve(made.id)


def test_what_runs_in_it_finds_its_files_where_hosted_containers_have_them(
    client: openai.OpenAI, docker_server: ServerProcess
) -> None:
    made = client.containers.create(name="Harbour")
    client.containers.files.create(made.id, file=("notes.txt", b"two\n"))
    container = _container_with(docker_server, "notes.txt")
    docker("exec", "--user", "1000", container, "cp", "/mnt/data/notes.txt", "/mnt/data/copy.txt")
    listed = {file.path: file.source for file in client.containers.files.list(made.id)}
    assert listed == {"/mnt/data/notes.txt": "user", "/mnt/data/copy.txt": "assistant"}
    client.containers.delete(made.id)
    deadline = time.monotonic() + REMOVAL_TIMEOUT_S
    while container in docker("ps", "-a", "--format", "{{.Names}}").split():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _container_with(server: ServerProcess, file: str) -> str:
    installation = server.environment["BERTH_INSTALLATION_ID"]
    wanted = f"label=berth.installation={installation}"
    for name in docker("ps", "--format", "{{.Names}}", "--filter", wanted).split():
        if file in docker("exec", name, "ls", "/workspace").split():
            return name
    raise AssertionError("no container has the file")
