"""Responses over the network, from a real server with real containers."""

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from tests.e2e.conftest import docker
from tests.serve.raw_http import wait_until
from tests.serve.server_process import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.docker]

SHELL: Any = {"type": "shell"}
WAIT_S = 30.0


@pytest.fixture
def client(api_server: ServerProcess, api_key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key=api_key,
        base_url=f"{api_server.url}/v1",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def processes(server: ServerProcess) -> str:
    """Of all containers of the installation."""
    installation = server.environment["BERTH_INSTALLATION_ID"]
    wanted = f"label=berth.installation={installation}"
    names = docker("ps", "--filter", wanted, "--format", "{{.Names}}").split()
    return "".join(docker("top", name, "-eo", "pid,args") for name in names)


def test_output_is_streamed_while_the_command_runs(client: openai.OpenAI) -> None:
    script = "```bash\necho one; sleep 2; echo two\n```"
    came: dict[str, float] = {}
    stream = client.responses.create(model="m", input=script, tools=[SHELL], stream=True)
    for event in stream:
        if event.type == "response.shell_call_output_content.delta":
            came[str(event.delta.stdout)] = time.monotonic()
    assert list(came) == ["one\n", "two\n"]
    assert came["two\n"] - came["one\n"] > 1, "not held back until the end"


def test_a_program_that_leaves_its_stream_stops_what_it_asked_for(
    client: openai.OpenAI, api_server: ServerProcess
) -> None:
    script = "```bash\necho begun; sleep 4321\n```"
    with client.responses.create(model="m", input=script, tools=[SHELL], stream=True) as stream:
        for event in stream:
            if event.type == "response.shell_call_output_content.delta":
                break
        assert "sleep 4321" in processes(api_server)
    assert wait_until(lambda: "sleep 4321" not in processes(api_server), within_s=WAIT_S)


def test_a_program_that_does_not_wait_for_its_answer_stops_what_it_asked_for(
    client: openai.OpenAI, api_server: ServerProcess
) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=6).responses.create(
            model="m", input="```bash\nsleep 4322\n```", tools=[SHELL]
        )
    assert wait_until(lambda: "sleep 4322" not in processes(api_server), within_s=WAIT_S)


def test_one_in_the_background_outlives_a_killed_server_and_its_stream_goes_on(
    client: openai.OpenAI, api_server: ServerProcess
) -> None:
    script = "```bash\nfor i in 1 2 3 4 5 6; do echo line $i; sleep 1; done\n```"
    seen: list[Any] = []
    stream = client.responses.create(
        model="m", input=script, tools=[SHELL], stream=True, background=True
    )
    try:
        for event in stream:
            seen.append(event)
            if event.type == "response.shell_call_output_content.delta":
                api_server.process.kill()
    except (httpx2.HTTPError, openai.APIError):
        pass  # or it just ends: clients differ
    api_server.kill()
    api_server.start()
    client.base_url = f"{api_server.url}/v1"
    response_id = seen[0].response.id
    rest = client.responses.retrieve(
        response_id, stream=True, starting_after=seen[-1].sequence_number
    )
    seen += list(rest)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    deltas = [e for e in seen if e.type == "response.shell_call_output_content.delta"]
    printed = "".join(event.delta.stdout for event in deltas)
    assert printed == "".join(f"line {number}\n" for number in range(1, 7))
    assert seen[-1].type == "response.completed"


def test_what_a_program_waited_for_does_not_go_on_after_its_server_was_killed(
    client: openai.OpenAI, api_server: ServerProcess
) -> None:
    """The program asks again by itself, and would have it done twice."""
    script = "```bash\necho begun; sleep 4323\n```"
    stream = client.responses.create(model="m", input=script, tools=[SHELL], stream=True)
    try:
        for event in stream:
            if event.type == "response.shell_call_output_content.delta":
                api_server.process.kill()
    except (httpx2.HTTPError, openai.APIError):
        pass  # or it just ends: clients differ
    api_server.kill()
    assert "sleep 4323" in processes(api_server), "commands outlive the server"
    api_server.start()
    assert wait_until(lambda: "sleep 4323" not in processes(api_server), within_s=WAIT_S)
