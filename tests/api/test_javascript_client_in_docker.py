"""The official JavaScript client against a real server with real containers."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.clients import CLIENTS
from tests.serve.server_process import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.docker]
PROGRAM = Path(__file__).resolve().parents[1] / "clients" / "scenarios.mjs"
LONGEST_S = 120


def outcome_of(scenario: str, server: ServerProcess, key: str) -> dict[str, Any]:
    environment = {
        "PATH": os.environ["PATH"],
        "CLIENTS": str(CLIENTS),
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": key,
    }
    ran = subprocess.run(
        ["node", PROGRAM, scenario],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    outcome = json.loads(ran.stdout)
    assert isinstance(outcome, dict)
    return outcome


def kinds(response: dict[str, Any]) -> list[str]:
    return [item["type"] for item in response["output"]]


def test_the_shell_runs_and_the_next_response_goes_on_in_its_container(
    api_server: ServerProcess, api_key: str
) -> None:
    came = outcome_of("shell", api_server, api_key)
    assert kinds(came["first"]) == ["shell_call", "shell_call_output", "message"]
    assert came["first"]["output"][1]["output"][0]["stdout"] == "hello\n"
    assert came["second"]["output"][1]["output"][0]["stdout"] == "kept\n"
    assert "exit code 0" in came["text"]


def test_the_events_of_a_stream_arrive_in_order(api_server: ServerProcess, api_key: str) -> None:
    events = outcome_of("stream", api_server, api_key)["events"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
    deltas = [e["delta"] for e in events if e["type"].endswith("output_content.delta")]
    assert {"stdout": "one\n"} in deltas
    assert {"stderr": "two\n"} in deltas
    output = events[-1]["response"]["output"][1]["output"][0]
    assert output["outcome"] == {"type": "exit", "exit_code": 3}


def test_the_helper_for_streams_follows_to_the_end(
    api_server: ServerProcess, api_key: str
) -> None:
    came = outcome_of("helper", api_server, api_key)
    assert came["status"] == "completed"
    assert came["printed"] == came["text"] != ""


def test_a_lost_stream_of_the_background_is_had_again(
    api_server: ServerProcess, api_key: str
) -> None:
    came = outcome_of("background", api_server, api_key)
    numbers = [event["sequence_number"] for event in came["seen"]]
    assert numbers == list(range(len(numbers)))
    assert (came["status"], came["after"]) == ("completed", "completed")


def test_functions_are_called_and_answered(api_server: ServerProcess, api_key: str) -> None:
    came = outcome_of("functions", api_server, api_key)
    assert (came["call"]["name"], json.loads(came["call"]["arguments"])) == ("add", {"a": 1})
    assert came["status"] == "completed"
    assert came["text"]


def test_containers_and_their_files(api_server: ServerProcess, api_key: str) -> None:
    came = outcome_of("containers", api_server, api_key)
    assert came["container"]["name"] == "from JavaScript"
    assert came["file"]["bytes"] == 8
    assert came["answer"]["output"][1]["output"][0]["stdout"] == "2\n"
    assert came["paths"] == ["/mnt/data/copy.csv", "/mnt/data/data.csv"]
    assert came["copy"] == "a,b\n1,2\n"
    assert came["container"]["id"] in came["listed"]
    assert (came["gone"]["kind"], came["gone"]["status"]) == ("NotFoundError", 404)


def test_refusals_are_the_classes_that_programs_catch(
    api_server: ServerProcess, api_key: str
) -> None:
    came = outcome_of("refusals", api_server, api_key)
    assert (came["unknown"]["kind"], came["unknown"]["status"]) == ("NotFoundError", 404)
    assert came["parameter"]["kind"] == "BadRequestError"
    assert came["parameter"]["param"].startswith("tools")
    assert (came["key"]["kind"], came["key"]["code"]) == ("AuthenticationError", "invalid_api_key")
