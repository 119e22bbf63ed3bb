"""The code interpreter in real containers: Stop, time limit, memory, a killed server, images."""

import time
from typing import Any

import httpx2
import openai
import pytest

from tests.api.test_code_interpreter import CODE, OUTPUTS, calls_of, logs_of, script
from tests.api.test_responses_in_docker import client, processes
from tests.serve.raw_http import wait_until
from tests.serve.server_process import ServerProcess

__all__ = ["client"]

pytestmark = [pytest.mark.slow, pytest.mark.docker]
WAIT_S = 30.0


def ask(client: openai.OpenAI, text: str, **options: Any) -> Any:
    given: Any = {"model": "m", "input": text, "tools": [CODE], "include": OUTPUTS, **options}
    return client.responses.create(**given)


def begun(stream: Any) -> str:
    """The response of a stream, once its code runs."""
    response_id = ""
    for event in stream:
        if event.type == "response.created":
            response_id = event.response.id
        if event.type == "response.code_interpreter_call.interpreting":
            break
    return response_id


def ended(client: openai.OpenAI, response_id: str) -> Any:
    found: list[Any] = []

    def look() -> bool:
        found.append(client.responses.retrieve(response_id, include=OUTPUTS))
        return found[-1].status not in ("queued", "in_progress")

    assert wait_until(look, within_s=WAIT_S)
    return found[-1]


def test_code_runs_as_the_user_with_what_the_image_has(client: openai.OpenAI) -> None:
    made = ask(client, script("import os, sys\nos.getuid(), os.getcwd(), sys.version_info[0]"))
    assert logs_of(made) == ["(1000, '/workspace', 3)\n"]


def test_a_stopped_response_leaves_nothing_running_and_keeps_its_variables(
    client: openai.OpenAI, api_server: ServerProcess
) -> None:
    first = ask(client, script("x = 'kept'"))
    code = (
        "import subprocess, time\n"
        "subprocess.Popen(['setsid', 'sleep', '4331'])\n"
        "subprocess.run('sleep 4332 & exec sleep 4333', shell=True)"
    )
    stream = ask(client, script(code), stream=True, background=True, previous_response_id=first.id)
    response_id = begun(stream)
    assert wait_until(lambda: "sleep 4333" in processes(api_server), within_s=WAIT_S)
    stopped = client.responses.cancel(response_id)
    assert stopped.status == "cancelled"
    assert "sleep 433" not in processes(api_server), "over before it is said to be"
    assert calls_of(ended(client, response_id))[0].status == "incomplete"
    after = ask(client, script("x"), previous_response_id=response_id)
    assert logs_of(after) == ["'kept'\n"]


def test_code_that_hears_nothing_is_stopped_with_its_interpreter(
    client: openai.OpenAI, api_server: ServerProcess
) -> None:
    code = (
        "import signal, time\nx = 1\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "while True: time.sleep(1)"
    )
    stream = ask(client, script(code), stream=True, background=True)
    response_id = begun(stream)
    time.sleep(1)
    client.responses.cancel(response_id)
    after = ask(client, script("'x' in globals()"), previous_response_id=response_id)
    (logs,) = logs_of(after)
    assert "started anew" in logs
    assert logs.endswith("False\n")


def test_a_kernel_that_code_killed_is_replaced(client: openai.OpenAI) -> None:
    """What the guest runs is killed with all that came of it; the next call has a new one."""
    code = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time\ntime.sleep(60)"
    made = ask(client, script("x = 1", code, "'x' in globals()"))
    logs = logs_of(made)
    assert "was ended" in logs[1]
    assert logs[2].endswith("False\n")


def test_running_out_of_memory_is_told_as_such(
    client: openai.OpenAI,
) -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "1g"}}
    made = ask(client, script("x = b'x' * (3 << 30)", "'x' in globals()"), tools=[tool])
    call, after = calls_of(made)
    assert call.status == "failed"
    assert "out of memory" in logs_of(made)[0]
    assert after.status == "completed"


def test_code_outlives_a_killed_server_and_is_not_run_twice(
    client: openai.OpenAI, api_server: ServerProcess
) -> None:
    code = (
        "import time\nopen('runs', 'a').write('run ')\n"
        "for i in range(6): print('line', i); time.sleep(1)\nlast = i"
    )
    stream = ask(client, script(code, "last, open('runs').read()"), stream=True, background=True)
    response_id = begun(stream)
    try:
        time.sleep(1)
        api_server.process.kill()
        list(stream)
    except (httpx2.HTTPError, openai.APIError):
        pass  # or it just ends: clients differ
    api_server.kill()
    api_server.start()
    client.base_url = f"{api_server.url}/v1"
    made = ended(client, response_id)
    assert logs_of(made) == [
        "".join(f"line {number}\n" for number in range(6)),
        "(5, 'run ')\n",
    ]
