"""A real server, a real container, and the recorded traffic of the hosted API beside it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.api.test_skills import zipped
from tests.serve.server_process import ServerProcess

pytestmark = [pytest.mark.docker, pytest.mark.slow]
RECORDING = Path(__file__).parents[1] / "providers/recordings/openai-shell-skills.1.chunks.txt"
HOSTED = "/home/oai/skills/island-rescue-ab6238cd308ce72a5ae69fd3ba1e3aeb"
DESCRIPTION = "How to be rescued from a lonely island"


@pytest.fixture
def client(api_server: ServerProcess, api_key: str) -> Iterator[Any]:
    made = openai.OpenAI(
        api_key=api_key,
        base_url=f"{api_server.url}/v1",
        max_retries=0,
        _strict_response_validation=True,
    )
    yield made
    made.close()


def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDING.read_text().splitlines() if line.strip()]


def shape(events: list[dict[str, Any]]) -> list[str]:
    """Kinds in their order. How much a delta holds is anybody's choice."""
    return [event["type"] for event in events if not event["type"].endswith("delta")]


def items(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    return [item for item in done if item["type"] == kind]


def test_what_was_recorded_of_the_hosted_api_happens_here(client: Any) -> None:
    theirs = recorded()
    printed = [item["output"][0]["stdout"] for item in items(theirs, "shell_call_output")]
    data = base64.b64encode(zipped({"x/SKILL.md": printed[1].encode()})).decode()
    skill = {
        "type": "inline",
        "name": "island-rescue",
        "description": DESCRIPTION,
        "source": {"type": "base64", "media_type": "application/zip", "data": data},
    }
    (made,) = client.containers.create(name="x", skills=[skill]).model_extra["skills"]
    assert made["path"].startswith("/.skills/island-rescue-")
    assert len(made["path"]) - len("/.skills/") == len(HOSTED) - len("/home/oai/skills/")
    path = made["path"].replace("/.skills/", "/home/oai/skills/")
    commands = [
        item["action"]["commands"][0].replace(HOSTED, path) for item in items(theirs, "shell_call")
    ]
    ours = [
        event.to_dict()
        for event in client.responses.create(
            model="m",
            input="\n---\n".join(f"```bash\n{command}\n```" for command in commands),
            tools=[
                {"type": "shell", "environment": {"type": "container_auto", "skills": [skill]}}
            ],
            stream=True,
        )
    ]
    assert shape(ours) == shape(theirs)
    for event in (ours[0], ours[-1], theirs[0]):
        (tool,) = event["response"]["tools"]
        assert set(tool) == {"type", "environment"}
        assert set(tool["environment"]) == {"type", "container_id"}
    outputs = [item["output"][0] for item in items(ours, "shell_call_output")]
    assert [set(output) for output in outputs] == [{"outcome", "stderr", "stdout"}] * 2
    assert [output["stdout"] for output in outputs] == [
        text.replace(HOSTED, path) for text in printed
    ]


def test_it_is_known_and_there_in_a_later_response_by_reference(client: Any) -> None:
    manifest = b"---\nname: moon\ndescription: Phases.\n---\nFull.\n"
    kept = client.skills.create(files=[("moon/SKILL.md", manifest)])
    skill = {"type": "skill_reference", "skill_id": kept.id, "version": 1}
    container = client.containers.create(name="x", skills=[skill])
    client.skills.delete(kept.id)
    (there,) = container.model_extra["skills"]
    where = {"type": "container_reference", "container_id": container.id}
    answer = client.responses.create(
        model="m",
        input=f"```bash\ntail -1 {there['path']}/SKILL.md; echo x > {there['path']}/SKILL.md\n```",
        tools=[{"type": "shell", "environment": where}],
    )
    (output,) = [item for item in answer.output if item.type == "shell_call_output"]
    assert output.output[0].stdout == "Full.\n"
    assert "Permission denied" in output.output[0].stderr
    assert output.output[0].outcome.exit_code != 0
